use std::path::Path;
use std::process::Command;

use cqrs_core::store::{AppendError, EventFilter, EventStore as _, StoreError};
use cqrs_postgres::testing::{TestSchema, TestServer};

use crate::ledger::Ledger;
use crate::support::{append, config, in_time, open};

/// A file system in memory, as small as a disk that is nearly full.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Nothing where the tests may not mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=1777");
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.path().join("ballast")).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut ballast).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What stays mounted goes with the machine.
        drop(Command::new("umount").arg("--lazy").arg(self.path()).status());
    }
}

/// The disk is full: appends are told so and leave nothing, reads go on; when there is space again so do appends.
#[tokio::test]
async fn a_full_disk_is_told() {
    let Some(disk) = SmallDisk::mount("200m") else {
        eprintln!("a_full_disk_is_told: skipped, a small file system cannot be mounted by this user");
        return;
    };
    let server = TestServer::builder().durable().data_on(disk.path()).start().await.unwrap();
    let schema = TestSchema::new(&server);
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    ledger.append(&store, &append("s", 10)).await.unwrap();
    disk.fill();
    let mut told_full = Vec::new();
    // Pages that have room take a few more.
    while told_full.len() < 5 {
        let large = append("s", 100);
        match in_time(ledger.append(&store, &large)).await {
            Ok(_) => {}
            Err(AppendError::Store(StoreError::Unavailable(_))) => told_full.push(large),
            other => panic!("expected to be told, found {other:?}"),
        }
    }
    let seen = store.read_log(0, &EventFilter::all(), 100).await.unwrap();
    assert!(!seen.events.is_empty());
    ledger.check(&schema).await;
    disk.free();
    for large in &told_full {
        in_time(ledger.append(&store, large)).await.unwrap();
    }
    ledger.prove(&schema, &store).await;
    drop(store);
    drop(schema);
    drop(server);
}
