-- What journal.append computes itself: nothing but a fault in that function could make it wrong. PostgreSQL reads and plans
-- constraints anew for each statement, so these took a tenth of a call with one event.
ALTER TABLE journal.events DROP CONSTRAINT events_position_positive, DROP CONSTRAINT events_slot_range;
ALTER TABLE journal.batches
    DROP CONSTRAINT batches_bounds, DROP CONSTRAINT batches_root_length, DROP CONSTRAINT batches_chain_length;
ALTER TABLE journal.head DROP CONSTRAINT head_chain_length;
