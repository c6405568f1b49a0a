alter table $schema.subscriptions add column last_commit bigint not null default 0;
comment on column $schema.subscriptions.last_commit is
  'The number that the owner gave its last commit of records. One with a lower number that is executed late, by a '
  'process of the server that the owner had given up on, changes nothing.';
