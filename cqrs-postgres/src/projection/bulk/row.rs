use std::hash::{DefaultHasher, Hash, Hasher as _};

use sqlx::postgres::PgHasArrayType;
use sqlx::{Encode, Postgres, Type};

use crate::session::Query;

/// A row for a statement that writes many: a tuple of up to 12 values, of which the statement is given an array each. Rows
/// whose first values are equal are taken for the same row.
pub trait BulkRow: Columns {}

impl<R: Columns> BulkRow for R {}

/// What only this crate calls.
pub trait Columns: Send + 'static {
    /// An array for each column.
    type Arrays: Default + Send + 'static;

    /// What is equal where the first values are.
    fn key(&self) -> u64;

    /// Adds the row at the end.
    fn push(self, arrays: &mut Self::Arrays);

    /// Gives a statement the arrays.
    fn bind(arrays: Self::Arrays, query: Query<'static>) -> Query<'static>;
}

/// A value that may stand in an array of a statement.
trait Element: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + Send + 'static {}

impl<V> Element for V where V: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + Send + 'static {}

macro_rules! columns {
    ($first:ident $($column:ident $index:tt)*) => {
        impl<$first: Element + Hash, $($column: Element),*> Columns for ($first, $($column,)*) {
            type Arrays = (Vec<$first>, $(Vec<$column>,)*);

            fn key(&self) -> u64 {
                let mut hasher = DefaultHasher::new();
                self.0.hash(&mut hasher);
                hasher.finish()
            }

            fn push(self, arrays: &mut Self::Arrays) {
                arrays.0.push(self.0);
                $(arrays.$index.push(self.$index);)*
            }

            fn bind(arrays: Self::Arrays, query: Query<'static>) -> Query<'static> {
                query.bind(arrays.0)$(.bind(arrays.$index))*
            }
        }
    };
}

columns!(A);
columns!(A B 1);
columns!(A B 1 C 2);
columns!(A B 1 C 2 D 3);
columns!(A B 1 C 2 D 3 E 4);
columns!(A B 1 C 2 D 3 E 4 F 5);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6 H 7);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
columns!(A B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
