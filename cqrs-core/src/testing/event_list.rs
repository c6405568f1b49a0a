use crate::aggregate::{Aggregate, Events};

/// The forms in which a scenario lists events of aggregate `A`: an array or a `Vec` of one type, a tuple of
/// up to eight types, [`Events`], or `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of events of `{A}`",
    label = "not a list of events",
    note = "write `[event]` for one event, `[first, second]` for events of one type, `(first, second)` for several types, `()` for none"
)]
pub trait EventList<A: Aggregate> {
    /// The events, in order.
    fn into_vec(self) -> Vec<A::Event>;
}

impl<A: Aggregate> EventList<A> for () {
    fn into_vec(self) -> Vec<A::Event> {
        Vec::new()
    }
}

impl<A: Aggregate> EventList<A> for Events<A> {
    fn into_vec(self) -> Vec<A::Event> {
        self.as_slice().to_vec()
    }
}

impl<A: Aggregate, E: Into<A::Event>> EventList<A> for Vec<E> {
    fn into_vec(self) -> Vec<A::Event> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<A: Aggregate, E: Into<A::Event>, const N: usize> EventList<A> for [E; N] {
    fn into_vec(self) -> Vec<A::Event> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<A: Aggregate, $($name: Into<A::Event>),+> EventList<A> for ($($name,)+) {
            #[expect(non_snake_case, reason = "type parameters name the fields")]
            fn into_vec(self) -> Vec<A::Event> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    };
}

tuples!(T1);
tuples!(T1 T2);
tuples!(T1 T2 T3);
tuples!(T1 T2 T3 T4);
tuples!(T1 T2 T3 T4 T5);
tuples!(T1 T2 T3 T4 T5 T6);
tuples!(T1 T2 T3 T4 T5 T6 T7);
tuples!(T1 T2 T3 T4 T5 T6 T7 T8);
