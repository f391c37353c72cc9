-- What journal.append computes itself and no caller gives: it cannot be wrong there, ./bank check looks at it, and each of these constraints
-- was read and planned anew by every call, which is a tenth of what a call with one event costs.
ALTER TABLE journal.events DROP CONSTRAINT events_position_positive, DROP CONSTRAINT events_slot_range;
ALTER TABLE journal.batches
    DROP CONSTRAINT batches_bounds, DROP CONSTRAINT batches_root_length, DROP CONSTRAINT batches_chain_length;
ALTER TABLE journal.head DROP CONSTRAINT head_chain_length;
