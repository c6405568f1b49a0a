//! What happens: a release, its successor beside it, the switch, and the way back.

use std::error::Error;
use std::time::Duration;

use cqrs::prelude::*;
use cqrs::projection::{Generation, GenerationState, ProjectionHandle, Rebuild};
use cqrs::store::Store;
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::interval;

use crate::domain::{Shop, sale};

const LIMIT: Duration = Duration::from_secs(60);

/// How many dispatches are under way at once while the past is made.
const AT_ONCE: u64 = 500;

pub async fn tell<Old: Projection, New: Projection>(
    store: impl Store + Clone,
    events: u64,
    old: Old,
    new: New,
    look: impl AsyncFn() -> Result<Vec<String>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let first = Shop::builder(store.clone()).node("release-1").projection(old).start().await?;
    println!("Release 1 sells {events} times.");
    for batch in 0..events.div_ceil(AT_ONCE) {
        let numbers = batch * AT_ONCE..((batch + 1) * AT_ONCE).min(events);
        try_join_all(numbers.map(|number| first.dispatch(sale(number)).into_future())).await?;
    }
    let sales = first.projection::<Old>().ok_or("the shop has a projection")?;
    sales.at_least(first.store().head().await?, LIMIT).await?;
    show("its read model", &look().await?);

    println!(
        "\nRelease 2 is deployed beside it, with a new version of the read model. Release 1 goes on selling."
    );
    let second = Shop::builder(store).node("release-2").projection(new).start().await?;
    let new_sales = second.projection::<New>().ok_or("the shop has a projection")?;
    let rebuild = begun(&new_sales).await?;
    let mut sold = 0;
    if let Some(rebuild) = &rebuild {
        tokio::select! {
            done = follow(rebuild) => done?,
            failed = sell_on(&first, events, &mut sold) => failed?,
        }
    }
    println!("Readers see the new rows. Meanwhile, release 1 sold {sold} times; they are in.");
    new_sales.at_least(second.store().head().await?, LIMIT).await?;
    show("the new read model", &look().await?);

    println!("\nThe old rows are kept: one call, and readers see them again.");
    let generation = new_sales.roll_back().await?;
    show(&format!("generation {generation}"), &look().await?);
    for generation in new_sales.generations().await? {
        println!(
            "  generation {} of version {}: {:?}, position {}",
            generation.number, generation.version, generation.state, generation.position
        );
    }
    first.shutdown().await;
    second.shutdown().await;
    Ok(())
}

/// The rebuild, which begins a moment after the start; `None` when it was over before anybody looked.
async fn begun<'a>(sales: &ProjectionHandle<'a>) -> Result<Option<Rebuild<'a>>, Box<dyn Error>> {
    loop {
        if let Some(rebuild) = sales.building().await? {
            return Ok(Some(rebuild));
        }
        let generations = sales.generations().await?;
        let is_new =
            |one: &Generation| one.version == sales.version() && one.state == GenerationState::Active;
        if generations.iter().any(is_new) {
            return Ok(None);
        }
        tokio::task::yield_now().await;
    }
}

/// Shows a progress bar until readers see the new rows.
async fn follow(rebuild: &Rebuild<'_>) -> Result<(), Box<dyn Error>> {
    let style = "  {bar:40} {pos} of {len} positions  {msg}";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    let mut tick = interval(Duration::from_millis(50));
    let switched = rebuild.switched();
    tokio::pin!(switched);
    loop {
        tokio::select! {
            done = &mut switched => {
                bar.set_position(bar.length().unwrap_or_default());
                bar.finish();
                return Ok(done?);
            }
            _ = tick.tick() => {
                let Some(progress) = rebuild.progress().await? else { continue };
                bar.set_length(progress.target);
                bar.set_position(progress.position);
                if let (Some(rate), Some(remaining)) = (progress.rate, progress.remaining) {
                    bar.set_message(format!("{rate:.0}/s, {:.1} s left", remaining.as_secs_f64()));
                }
            }
        }
    }
}

/// Sells until it is dropped.
async fn sell_on(shop: &Shop, from: u64, sold: &mut u64) -> Result<(), Box<dyn Error>> {
    loop {
        shop.dispatch(sale(from + *sold)).await?;
        *sold += 1;
        tokio::task::yield_now().await;
    }
}

fn show(what: &str, rows: &[String]) {
    println!("  {what}, its first rows: {}", rows.join(", "));
}
