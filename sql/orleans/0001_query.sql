-- What Orleans' ADO.NET providers (clustering, reminders, grain storage) keep in this database.
--
-- The contract between the providers and the database is one table, which they read once at start: the text to run for each
-- query key. In those texts the names of the parameters and of the result columns are fixed by the providers; everything else
-- is this project's own.
--
-- The providers read it as `SELECT QueryKey, QueryText FROM OrleansQuery`, with no schema: their connection string needs
-- `Search Path=orleans`. The texts themselves name the schema everywhere, so nothing but that one look-up depends on it.
CREATE TABLE orleans.orleansquery (
    querykey  text PRIMARY KEY,
    querytext text NOT NULL
);
-- Read only: who may write here decides what the application's connections execute.
GRANT SELECT ON orleans.orleansquery TO bank_app;

-- Versions (etags) of reminders and of stored grain state. They come from a sequence and do not count up within a row: a row that
-- is deleted and written again would otherwise begin at 1 once more, and an activation that still holds an old 1 would win the
-- compare-and-set against state that it has never seen. The providers hold a version as an int, hence the type; after two
-- billion writes the numbers come round again, long after any activation that remembers one.
CREATE SEQUENCE orleans.row_version AS integer CYCLE;
GRANT USAGE ON SEQUENCE orleans.row_version TO bank_app;
