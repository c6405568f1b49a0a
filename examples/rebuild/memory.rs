//! The read model in memory.

use std::error::Error;

use cqrs::prelude::*;

use crate::domain::Sold;
use crate::story;

/// How many pieces of each product were sold.
pub struct Sales {
    rows: MemoryRows<String, u64>,
}

#[projection(name = "sales", interested_in = [Sold], version = 1)]
impl Sales {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.rows
    }

    fn on_sold(&self, event: &Sold, rows: &mut RowsMut<String, u64>) {
        *rows.row(event.product.clone()) += u64::from(event.pieces);
    }
}

/// The next version counts in dozens.
pub struct SalesInDozens {
    rows: MemoryRows<String, u64>,
}

#[projection(name = "sales", interested_in = [Sold], version = 2)]
impl SalesInDozens {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.rows
    }

    // Pieces are kept beside the dozens, under a name of their own, until they make a dozen.
    fn on_sold(&self, event: &Sold, rows: &mut RowsMut<String, u64>) {
        let loose = rows.row(format!("{} (loose)", event.product));
        *loose += u64::from(event.pieces);
        let (dozens, rest) = (*loose / 12, *loose % 12);
        *loose = rest;
        *rows.row(format!("{} (dozens)", event.product)) += dozens;
    }
}

pub async fn run(events: u64) -> Result<(), Box<dyn Error>> {
    let rows = MemoryRows::new();
    let (old, new) = (Sales { rows: rows.clone() }, SalesInDozens { rows: rows.clone() });
    let look = async || {
        let rows = rows.snapshot();
        Ok(rows.iter().take(2).map(|(product, count)| format!("{product}: {count}")).collect())
    };
    story::tell(MemoryStore::new(), events, old, new, look).await
}
