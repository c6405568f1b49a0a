//! Tenants are started, used, stopped, started again and removed, while the others go on.

use std::time::Instant;

use cqrs::BoxError;
use cqrs::application::ApplicationState;
use cqrs::postgres::PostgresPool;

use crate::tenant::{self, Tenant};
use crate::usage::{Memory, connections};
use crate::warehouse::Article;

/// How many tenants are shown in full.
const SHOWN: usize = 3;

pub async fn tell(pool: &PostgresPool, count: usize) -> Result<(), BoxError> {
    println!("{count} tenants start, a schema each, on one pool.");
    let (before, begun) = (Memory::resident(), Instant::now());
    let mut tenants = Tenant::start_all(pool, count).await?;
    println!("  started   in {:.0?}, {:.1?} each", begun.elapsed(), begun.elapsed() / u32::try_from(count)?);
    println!("  memory    {} each", Memory::resident().each(before, count));
    println!("  open      {} connections", connections(pool).await?);

    println!("\nEach receives some teapots: the same stream in each schema.");
    let begun = Instant::now();
    for (tenant, pieces) in tenants.iter().zip(1..) {
        let received = tenant.receive(pieces).await?;
        // A tenant has one stream, so that its versions are the positions of its log, unless others write there.
        if received.position() != Some(received.version()) {
            return Err(format!("the log of {} holds somebody else's events", tenant.name).into());
        }
        if tenant.name <= tenant::name(SHOWN) {
            let state = received.state().pieces;
            println!(
                "  {}  {} version {}: {state} teapots, its handler was told of {}",
                tenant.name,
                received.stream_id(),
                received.version(),
                tenant.tally.pieces()
            );
        }
    }
    println!("  received  in {:.0?}, one after another, each waiting for its handler", begun.elapsed());
    println!("  memory    {} each", Memory::resident().each(before, count));
    println!("  open      {} connections", connections(pool).await?);

    let first = tenants.remove(0);
    println!("\n{} stops, and the others go on.", first.name);
    println!("  {}  shutdown {}", first.name, first.warehouse.shutdown().await);
    if let Err(error) = first.receive(1).await {
        println!("  {}  refuses: {error}", first.name);
    }
    let name = first.name.clone();
    drop(first);
    if let Some(second) = tenants.first() {
        println!("  {}  {} teapots", second.name, second.receive(10).await?.state().pieces);
    }

    println!("\nIt starts again, and has what it had.");
    let first = Tenant::start(pool.clone(), name).await?;
    let teapots = first.warehouse.aggregate_state::<Article>("teapot").await?;
    println!(
        "  {}  version {}: {} teapots, its handler is told of none again: {}",
        first.name,
        teapots.version,
        teapots.state.pieces,
        first.tally.pieces()
    );
    tenants.insert(0, first);

    if let Some(last) = tenants.pop() {
        println!("\n{} leaves, and its schema with it.", last.name);
        last.warehouse.shutdown().await;
        let name = last.name.clone();
        drop(last);
        pool.drop_schema(&name).await?;
        let remaining =
            tenants.iter().filter(|tenant| tenant.warehouse.state() == ApplicationState::Running).count();
        println!("  {remaining} others run on");
    }

    println!("\nAll stop.");
    let begun = Instant::now();
    for tenant in &tenants {
        tenant.warehouse.shutdown().await;
    }
    println!("  stopped   in {:.0?}", begun.elapsed());
    Ok(())
}
