//! This framework on Postgres, by metric.

use crate::ours::Jsonb;
use crate::ours::append::Appends;
use crate::ours::bank::Bank;
use crate::ours::divided::Divided;
use crate::ours::flat_cost::FlatCost;
use crate::ours::inline::Inline;
use crate::ours::memory::Memory;
use crate::ours::partitions::Partitions;
use crate::ours::projection::Projections;
use crate::ours::reader::Reader;
use crate::ours::rebuild::Rebuilds;
use crate::ours::strong::Strongly;
use crate::ours::tail_reads::TailReads;
use crate::ours::tenants::Tenants;
use crate::ours::timers::Timers;
use crate::ours::transfers::Transfers;
use crate::ours::two_processes::TwoProcesses;
use crate::ours::wal::Wal;
use crate::point::{BoxError, Metric};
use crate::postgres::{Course, Ready};

pub(crate) async fn set_up(course: Course<'_>) -> Result<Ready, BoxError> {
    match course.metric() {
        Metric::Append => course.calls::<Appends<Jsonb>>().await,
        Metric::Dispatch | Metric::DispatchHot => course.banking::<Bank>().await,
        Metric::Rehydrate => course.rehydration::<Bank>().await,
        Metric::CatchUp => course.catching_up::<Reader>().await,
        Metric::FlatCost => FlatCost::ready(course).await,
        Metric::TwoProcesses => TwoProcesses::ready(course).await,
        Metric::TailReads => TailReads::ready(course).await,
        Metric::Wal => Wal::<Appends<Jsonb>>::ready(course).await,
        Metric::Memory => Memory::ready(course).await,
        Metric::Projection => Projections::ready(course).await,
        Metric::Rebuild => Rebuilds::ready(course).await,
        Metric::Divided => Divided::ready(course).await,
        Metric::Inline => Inline::ready(course).await,
        Metric::Tenants => Tenants::ready(course).await,
        Metric::Transfers => Transfers::ready(course).await,
        Metric::Partitions => Partitions::ready(course).await,
        Metric::Strong => Strongly::ready(course).await,
        Metric::Timers => Timers::ready(course).await,
        Metric::Footprint | Metric::Compile => {
            Err(format!("{} is measured elsewhere", course.metric()).into())
        }
    }
}
