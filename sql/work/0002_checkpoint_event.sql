-- Which event stood at the checkpoint: a journal that was restored and has grown again has the position, and another event there.

ALTER TABLE work.checkpoints ADD COLUMN event_id uuid;

-- Either table may be emptied: the next fold begins anew.
GRANT INSERT ON work.checkpoints TO bank_app;
