-- Grants already keep bank_app out. These triggers stop the owner and superusers too, unless they say that they mean it: a procedure names
-- itself in the transaction's setting journal.procedure, and each trigger lists the procedures that it lets pass.

CREATE FUNCTION journal.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(current_setting('journal.procedure', true), '') = ANY (TG_ARGV) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% of journal.% is refused: the record is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'JR001', HINT = 'A correction is a new event.';
END
$$;

CREATE TRIGGER refuse_delete BEFORE DELETE ON journal.events
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change('journal.clear');
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON journal.events
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON journal.batches
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();

CREATE TRIGGER refuse_update BEFORE UPDATE ON journal.head
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change('journal.append');
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON journal.head
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();

-- A silo's row that vanished would let it write again although it was fenced.
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON journal.writers
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();
