-- Nobody looks into them with SQL, and jsonb refuses what JSON may hold: an escaped NUL in the state of a handler.
alter table $schema.records alter column data type json using data::json;
