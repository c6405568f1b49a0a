use std::sync::Arc;

use crate::Schema;
use crate::log::WINDOW;
use crate::names::SMALL_PAGE;
use crate::rows::{EVENT_COLUMNS, NO_EVENT};

/// The head of the log, as a value. Together with rows, it is of the same snapshot as they are.
const HEAD: &str = "greatest((select position from $s.events order by position desc limit 1), \
     (select position_floor from $s.log))";

/// A page of the log: the events `o` behind $1 that fulfil a condition, at most $3 of them, and how far the page reaches,
/// which is $2 at most.
///
/// Looking each event's stream up would take longer than all the rest, so that the name stands with the first event of a
/// stream only, and with all of a small page, which somebody may wait for; the others' are known or asked for.
///
/// The first row tells how far the page reaches, and which store it is of. The events come in their order, which the
/// innermost select has and nested loops keep; to ask for it outside would sort each page, since the planner does not see
/// that `h` is one row. The reader checks it.
fn log_where(condition: &str) -> String {
    log_of(&format!(
        "select * from $s.events o where position > $1 and position <= h.reach and {condition} order by position limit $3"
    ))
}

/// A page of the log, as [`log_where`] describes it, of the events that a select gives.
fn log_of(events: &str) -> String {
    page("", &format!("least($2, {HEAD})"), events)
}

/// A page of the log, as [`log_where`] describes it, of the events of stream $7 that fulfil [`CONDITIONS`].
///
/// The index of the stream's versions leads to them: no stream is so long that the version its events behind $1 begin
/// with were not found in some twenty steps, each of which halves the versions that it may be. Links leave holes among
/// the versions. A page looks at 100,000 versions at most, as it does at positions elsewhere.
fn log_of_stream() -> String {
    const EVENTS: &str = "from $s.events o where o.stream_id = (select stream_id from s) and o.version >=";
    let before = format!(
        "recursive s as materialized (\
           select stream_id, version from $s.streams where name = $7 and erased_at is null), \
         halved(low, high) as (select 1::bigint, version from s union all \
           select case when e.position <= $1 then e.version + 1 else r.low end, \
             case when e.position <= $1 then r.high else (r.low + r.high) / 2 end \
           from halved r left join lateral (select o.position, o.version {EVENTS} (r.low + r.high) / 2 \
             order by o.version limit 1) e on true where r.low < r.high), \
         begins as materialized (select max(low) as version from halved), "
    );
    let reach = format!(
        "least($2, {HEAD}, (select o.position - 1 {EVENTS} (select version from begins) + {WINDOW} \
           order by o.version limit 1))"
    );
    let events = format!(
        "select o.* {EVENTS} (select version from begins) and o.position > $1 and o.position <= h.reach \
           and {CONDITIONS} order by o.version limit $3"
    );
    page(&before, &reach, &events)
}

/// A page of the log, as [`log_where`] describes it, of the events that a select gives, by means of what stands before.
fn page(before: &str, reach: &str, events: &str) -> String {
    format!(
        "with {before}h as materialized (select {reach} as reach) \
         select {NO_EVENT}, null, null, h.reach, (select store_id from $s.log) from h \
         union all select $event, e.stream_id, \
           case when e.version = 1 or h.reach - $1 <= {SMALL_PAGE} then \
             (select s.name from $s.streams s where s.stream_id = e.stream_id) end, null, null \
         from h cross join lateral ({events}) e"
    )
}

/// That an event `o` has one of the types $4, is of category $5 and of correlation $6, as far as these are given. The
/// category is a value for each event, which the planner cannot turn into a walk through the streams.
const CONDITIONS: &str = "($4::text[] is null or o.type = any($4)) and ($6::uuid is null or o.correlation_id = $6) \
     and ($5::text is null or \
       (select split_part(c.name, '-', 1) from $s.streams c where c.stream_id = o.stream_id) = $5)";

/// What an owner removes is what it has seen. Each one is looked up by its whole key: were the table joined with the keys, a
/// plan that was made while it was small would walk through all records of the handler. What others write meanwhile stays.
fn gone_by_key(condition: &str) -> String {
    format!(
        "delete from $s.records where ctid = any(array(\
           select r.ctid from unnest($2::text[], $3::text[]) k(kind, key) cross join lateral (\
             select ctid from $s.records where handler = $1 and kind = k.kind and key = k.key limit 1) r \
           where {condition}))"
    )
}

/// What somebody else removes goes also if the owner is just writing it anew.
const GONE: &str = "delete from $s.records r using unnest($2::text[], $3::text[]) k(kind, key) \
     where r.handler = $1 and r.kind = k.kind and r.key = k.key";

/// Removes the records of handler $1 with kinds $2 and keys $3, and writes those of $4 to $8, if a condition is fulfilled.
fn change_records(gone: &str, condition: &str) -> String {
    format!(
        "gone as ({gone}), \
         put as (insert into $s.records (handler, kind, key, position, due_at, data) \
           select $1, p.* from unnest($4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::json[]) p \
           where {condition} on conflict (handler, kind, key) do update set {REPLACED})"
    )
}

const REPLACED: &str = "position = excluded.position, due_at = excluded.due_at, data = excluded.data";

/// [`change_records`] if the records that change are as they are expected: there is none of those that $9 calls new, and
/// those with kinds $10 and keys $11 are as $12 to $14 say. Gives whether an owner of that epoch wrote it, and the kind and
/// key of a record that is not as expected; nothing is written then.
///
/// What is to be there is locked as it is found to be as expected, if need be when whoever writes it has committed. A row
/// that was rewritten since the statement began counts as changed, also when it says the same: the statement could not
/// remove it. What is to be new is looked for, and when somebody else adds it at the same time, the primary key refuses
/// the later of the two, which looks once more ([`Fault::of`](crate::error::Fault::of)). An owner holds its row of the
/// subscriptions first, like one that expects nothing, so that they wait for each other in one order.
fn change_expecting(of_owner: bool) -> String {
    let (fence, owned, may, is_free, is_owner) = match of_owner {
        true => (
            "fence as materialized (select last_commit from $s.subscriptions \
               where name = $1 and epoch = $16 and last_commit <= $17 for update), ",
            "owned as materialized (update $s.subscriptions set position = greatest(position, $15), \
               last_commit = $17, updated_at = clock_timestamp() where name = $1 and epoch = $16 \
               and exists (select from fence where last_commit < $17) \
               and not exists (select from changed) returning 1), ",
            // One of this number was made: by this very commit, whose answer was lost.
            "exists (select from fence where last_commit < $17)",
            "exists (select from owned)",
            "exists (select from fence)",
        ),
        false => ("", "", "true", "not exists (select from changed)", "true"),
    };
    let gone = gone_by_key(is_free);
    format!(
        "with {fence}wanted as materialized (select kind, key, position, due_at, data, is_new from unnest(\
             $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::json[], $9::boolean[]) \
             w(kind, key, position, due_at, data, is_new)), \
         found as materialized (select e.kind, e.key from unnest(\
             $10::text[], $11::text[], $12::bigint[], $13::timestamptz[], $14::text[]) \
             e(kind, key, position, due_at, data) \
           cross join lateral (select ctid from $s.records \
             where handler = $1 and kind = e.kind and key = e.key limit 1) seen \
           cross join lateral (select r.ctid from $s.records r \
             where r.handler = $1 and r.kind = e.kind and r.key = e.key and r.position = e.position \
               and r.due_at is not distinct from e.due_at and r.data::text = e.data limit 1 for update) held \
           where held.ctid = seen.ctid and {may}), \
         changed as materialized (select c.kind, c.key from (\
             (select e.kind, e.key from unnest($10::text[], $11::text[]) e(kind, key) \
               except select kind, key from found) \
             union all \
             (select w.kind, w.key from wanted w cross join lateral (select from $s.records \
               where handler = $1 and kind = w.kind and key = w.key limit 1) known where w.is_new)) c \
           where {may} limit 1), {owned}\
         gone as ({gone}), \
         new as (insert into $s.records (handler, kind, key, position, due_at, data) \
           select $1, kind, key, position, due_at, data from wanted where is_new and {is_free}), \
         put as (insert into $s.records (handler, kind, key, position, due_at, data) \
           select $1, kind, key, position, due_at, data from wanted where not is_new and {is_free} \
           on conflict (handler, kind, key) do update set {REPLACED}) \
         select {is_owner}, (select kind from changed), (select key from changed)"
    )
}

const RECORD: &str =
    "select kind, key, position, due_at, data from $s.records where handler = $1 and kind = $2";

/// Records of an audit that an index of one condition finds, and that fulfil the others. Each condition is of the argument
/// that [`AUDIT_ARGUMENTS`] gives it.
fn audit_where(found_by: &str) -> String {
    format!(
        "select audit_id, command_id, causation_id, correlation_id, occurred_at, command, actor, data::text, \
           metadata::text, duration_us, error_kind, error \
         from $s.audit where {found_by} and {AUDIT_ARGUMENTS} order by audit_id limit $9"
    )
}

const AUDIT_ARGUMENTS: &str = "($1::uuid is null or audit_id > $1) and ($2::uuid is null or command_id = $2) \
     and ($3::uuid is null or correlation_id = $3) and ($4::text is null or actor = $4) \
     and ($5::text is null or command = $5) \
     and ($6::text is null or case when success then 'succeeded' when not success then 'failed' else 'unfinished' end = $6) \
     and ($7::timestamptz is null or occurred_at >= $7) and ($8::timestamptz is null or occurred_at < $8)";

/// The statements of a store, with the schema's name in them: nothing relies on the search path of a connection.
pub(crate) struct Statements {
    pub(crate) append_one: Arc<str>,
    pub(crate) append_many: Arc<str>,
    pub(crate) outcome: Arc<str>,
    pub(crate) origin: Arc<str>,
    pub(crate) linked_places: Arc<str>,
    pub(crate) was_erased: Arc<str>,
    pub(crate) forget_appends: Arc<str>,
    pub(crate) stream_forward: Arc<str>,
    pub(crate) stream_backward: Arc<str>,
    pub(crate) linked: Arc<str>,
    pub(crate) stream_info: Arc<str>,
    pub(crate) log: Arc<str>,
    pub(crate) log_where: Arc<str>,
    pub(crate) log_of_stream: Arc<str>,
    pub(crate) log_of_correlation: Arc<str>,
    pub(crate) message: Arc<str>,
    pub(crate) names: Arc<str>,
    pub(crate) streams: Arc<str>,
    pub(crate) head: Arc<str>,
    pub(crate) log_between: Arc<str>,
    pub(crate) bind: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) store_id: Arc<str>,
    pub(crate) stored_state: Arc<str>,
    pub(crate) save_snapshot: Arc<str>,
    pub(crate) latest_snapshot: Arc<str>,
    pub(crate) delete_snapshot: Arc<str>,
    pub(crate) checkpoint: Arc<str>,
    pub(crate) save_checkpoint: Arc<str>,
    pub(crate) delete_checkpoint: Arc<str>,
    pub(crate) commit: Arc<str>,
    pub(crate) change_records: Arc<str>,
    pub(crate) commit_expecting: Arc<str>,
    pub(crate) change_expecting: Arc<str>,
    pub(crate) records_of: Arc<str>,
    pub(crate) records: Arc<str>,
    pub(crate) due_records: Arc<str>,
    pub(crate) acquire_lease: Arc<str>,
    pub(crate) renew_leases: Arc<str>,
    pub(crate) release_lease: Arc<str>,
    pub(crate) begin_audit: Arc<str>,
    pub(crate) end_audit: Arc<str>,
    pub(crate) audit: Arc<str>,
    pub(crate) audit_of_command: Arc<str>,
    pub(crate) audit_of_correlation: Arc<str>,
    pub(crate) audit_of_actor: Arc<str>,
    pub(crate) audit_in_time: Arc<str>,
    pub(crate) delete_audit: Arc<str>,
    pub(crate) link: Arc<str>,
    pub(crate) delete: Arc<str>,
    pub(crate) notify: Arc<str>,
}

impl Statements {
    pub(crate) fn of(schema: &Schema) -> Self {
        let s = schema.quoted();
        let sql = |text: &str| -> Arc<str> {
            text.replace("$s.", &format!("{s}.")).replace("$event", EVENT_COLUMNS).into()
        };
        Self {
            append_one: sql(
                "select o_status, o_version, o_head from $s.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            ),
            append_many: sql(
                "select o_unit, o_status, o_version, o_position, o_state_status, o_state_version, o_known, o_head \
                 from $s.append_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
                 $20, $21, $22, $23, $24, $25, $26, $27)",
            ),
            outcome: sql(
                "select coalesce(a.stream, s.name), a.version, a.events::bigint, a.position from $s.appends a \
                 left join $s.streams s using (stream_id) where a.append_id = $1 order by a.ordinal",
            ),
            origin: sql("select extract(epoch from clock_timestamp() - min(appended_at))::float8, \
                   $3::uuid is null or exists (select from $s.events where position = $2 and event_id = $3) \
                 from $s.appends where append_id = $1"),
            linked_places: sql("select l.version from $s.streams s join $s.links l using (stream_id) \
                 where s.name = $1 and s.erased_at is null and l.position = any($2) \
                 order by array_position($2, l.position)"),
            was_erased: sql(
                "select exists (select from $s.streams where name = $1 and erased_at is not null)",
            ),
            forget_appends: sql("with gone as (\
                   delete from $s.appends where ctid = any(array(select ctid from $s.appends \
                     where appended_at < clock_timestamp() - make_interval(secs => $1) limit $2)) returning 1) \
                 select count(*) from gone"),
            stream_forward: sql("select $event, s.name, s.deleted_at is not null, \
                   case when s.has_links then s.version end from $s.streams s left join lateral (\
                   select * from $s.events where stream_id = s.stream_id and version >= $2 \
                     and s.deleted_at is null order by version limit $3) e on true \
                 where s.name = $1 and s.erased_at is null order by e.version"),
            stream_backward: sql("select $event, s.name, s.deleted_at is not null, \
                   case when s.has_links then s.version end from $s.streams s left join lateral (\
                   select * from $s.events where stream_id = s.stream_id and version <= $2 \
                     and s.deleted_at is null order by version desc limit $3) e on true \
                 where s.name = $1 and s.erased_at is null order by e.version desc"),
            linked: sql("select $event, s.name, p.version as place from (\
                   select l.position, l.version from $s.streams t join $s.links l using (stream_id) \
                     where t.name = $1 and t.erased_at is null and l.version >= $2 and l.version <= $3 \
                   union all select o.position, o.version from $s.streams t join $s.events o using (stream_id) \
                     where t.name = $1 and t.erased_at is null and o.version >= $2 and o.version <= $3) p \
                 join $s.events e using (position) join $s.streams s on s.stream_id = e.stream_id order by place"),
            stream_info: sql("select version, created_at, deleted_at is not null from $s.streams \
                 where name = $1 and erased_at is null"),
            log: sql(&log_where("($4::text[] is null or type = any($4))")),
            log_where: sql(&log_where(CONDITIONS)),
            log_of_stream: sql(&log_of_stream()),
            // Only without a further condition it is known how many of the correlation's events a page needs.
            log_of_correlation: sql(&log_of(&format!(
                "select o.* from $s.correlated($6, $1, h.reach, \
                   case when $4::text[] is null and $5::text is null then $3 end) c \
                 join $s.events o on o.position = c where {CONDITIONS} order by o.position limit $3",
            ))),
            message: sql("select $event, s.name from $s.events e join $s.streams s using (stream_id) \
                 where e.position = coalesce((select position from $s.events where event_id = $1), \
                   (select position from $s.events where causation_id = $1 and position = any(array(\
                     select a.position - a.events + 1 from $s.appends a where a.append_id = $1 and a.events > 0)) \
                     order by position limit 1), \
                   (select $s.first_caused($1)))"),
            names: sql(
                "select (select store_id from $s.log), stream_id, name from $s.streams where stream_id = any($1)",
            ),
            streams: sql("select name, version, created_at, is_deleted, place from (\
                   select name, version, created_at, deleted_at is not null as is_deleted, \
                     row_number() over (order by name) as place from $s.streams \
                   where erased_at is null and name > $1 and name >= $2 and name < $3 order by name limit $5) w \
                 where strpos(name, $4) > 0 or place = $5 order by name limit $6"),
            head: sql(&format!("select {HEAD}")),
            log_between: sql(
                "select $event, (select s.name from $s.streams s where s.stream_id = e.stream_id) from $s.events e \
                 where e.position > $1 and e.position <= $2 and ($3::text[] is null or e.type = any($3)) \
                 order by e.position limit $4",
            ),
            bind: sql("update $s.log set application = $1 where application is null"),
            owner: sql("select application from $s.log"),
            store_id: sql("select store_id from $s.log"),
            stored_state: sql("select version, schema_version, data from $s.states where stream = $1"),
            save_snapshot: sql(
                "insert into $s.snapshots as n (stream, version, schema_version, created_at, state_type, data) \
                 values ($1, $2, $3, $4, $5, $6) on conflict (stream) do update set version = excluded.version, \
                 schema_version = excluded.schema_version, created_at = excluded.created_at, \
                 state_type = excluded.state_type, data = excluded.data \
                 where n.version <= excluded.version or n.schema_version <> excluded.schema_version",
            ),
            latest_snapshot: sql(
                "select version, schema_version, created_at, state_type, data from $s.snapshots where stream = $1",
            ),
            delete_snapshot: sql("delete from $s.snapshots where stream = $1"),
            checkpoint: sql("select position from $s.subscriptions where name = $1"),
            save_checkpoint: sql(
                "update $s.subscriptions set position = greatest(position, $2), updated_at = clock_timestamp() \
                 where name = $1 and epoch = $3 and set_config('synchronous_commit', 'off', true) is not null \
                 returning 1",
            ),
            delete_checkpoint: sql("update $s.subscriptions set position = null where name = $1"),
            commit: sql(&format!(
                "with owned as materialized (update $s.subscriptions set position = greatest(position, $9), \
                 last_commit = $11, updated_at = clock_timestamp() \
                 where name = $1 and epoch = $10 and last_commit <= $11 returning 1), {} select 1 from owned",
                change_records(&gone_by_key("exists (select from owned)"), "exists (select from owned)")
            )),
            change_records: sql(&format!("with {} select 1", change_records(GONE, "true"))),
            commit_expecting: sql(&change_expecting(true)),
            change_expecting: sql(&change_expecting(false)),
            records_of: sql(&format!("{RECORD} and key = any($3)")),
            records: sql(&format!("{RECORD} and ($3::text is null or key > $3) order by key limit $4")),
            due_records: sql(&format!("{RECORD} and due_at <= $3 order by due_at, key limit $4")),
            acquire_lease: sql("insert into $s.subscriptions as u (name, epoch, owner, lease_until) \
                 values ($1, 1, $2, clock_timestamp() + make_interval(secs => $3)) \
                 on conflict (name) do update set epoch = u.epoch + 1, last_commit = 0, owner = excluded.owner, \
                 lease_until = excluded.lease_until \
                 where u.owner is null or u.owner = excluded.owner or u.lease_until <= clock_timestamp() \
                 returning epoch"),
            renew_leases: sql(
                "update $s.subscriptions set lease_until = clock_timestamp() + make_interval(secs => $2) \
                 where owner = $1 and set_config('synchronous_commit', 'off', true) is not null \
                 returning name, epoch",
            ),
            release_lease: sql("update $s.subscriptions set owner = null, lease_until = null \
                 where name = $1 and epoch = $2 and owner is not null returning 1"),
            begin_audit: sql(
                "insert into $s.audit (audit_id, command_id, causation_id, correlation_id, occurred_at, \
                 command, actor, data, metadata) values ($1, $2, $3, $4, $5, $6, $7, $8::text::json, $9::text::json) \
                 on conflict (audit_id) do nothing returning 1",
            ),
            end_audit: sql(
                "update $s.audit set success = $3::text is null, duration_us = $2, error_kind = $3, \
                 error = $4 where audit_id = $1 returning 1",
            ),
            audit: sql(&audit_where("audit_id > coalesce($1, '00000000-0000-0000-0000-000000000000')")),
            audit_of_command: sql(&audit_where("command_id = $2")),
            audit_of_correlation: sql(&audit_where("correlation_id = $3")),
            audit_of_actor: sql(&audit_where("actor = $4")),
            audit_in_time: sql(&audit_where(
                "occurred_at >= coalesce($7, '-infinity') and occurred_at < coalesce($8, 'infinity')",
            )),
            delete_audit: sql("with gone as (\
                   delete from $s.audit where audit_id = any(array(select audit_id from $s.audit \
                     where occurred_at < $1 order by occurred_at limit $2)) returning 1) \
                 select count(*) from gone"),
            link: sql("select o_status, o_version, o_ordinal from $s.link($1, $2, $3)"),
            notify: sql("select pg_notify($1, $2)"),
            delete: sql("select o_status, o_version from $s.delete_stream($1, $2, $3)"),
        }
    }
}
