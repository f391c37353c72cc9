-- Checks the record by the record alone: no code of the bank, no function and no table of states has a part in it. The answer is one JSON
-- document: where the record ends, what each currency adds up to there, and of each rule that is broken the first violation.
--
-- Every event is judged by those before it (the windows), so a violation is found where it begins. It is one statement, so it sees one
-- moment, and the bank may go on meanwhile. A window costs a sort of the whole record: what can share one does.
WITH kind (event_type, stream_type, amount_field, change, paid_in) AS (
    -- What an event does with its amount: to the balance of its account, and to the money that is in the bank.
    VALUES ('AccountOpened', 'account', 'initial_deposit', 1, 1),
        ('MoneyDeposited', 'account', 'amount', 1, 1),
        ('MoneyWithdrawn', 'account', 'amount', -1, -1),
        ('TransferSent', 'account', 'amount', -1, 0),
        ('TransferReceived', 'account', 'amount', 1, 0),
        ('TransferReturned', 'account', 'amount', 1, 0),
        ('TransferDeclined', 'account', NULL, 0, 0),
        ('AccountClosed', 'account', NULL, 0, 0),
        ('TransferRequested', 'transfer', 'amount', 0, 0),
        ('TransferRejected', 'transfer', NULL, 0, 0),
        ('ReturnDecided', 'transfer', NULL, 0, 0),
        ('TransferFailed', 'transfer', NULL, 0, 0),
        ('TransferCompleted', 'transfer', NULL, 0, 0)
), event AS MATERIALIZED (
    SELECT e.position, e.stream_id, e.version, e.event_type, e.kind, e.amount_field, e.change, e.paid_in,
           -- What is no number must be no error of this statement either: digits, with at most one point, and a sign at most in front.
           CASE WHEN translate(e.amount, '0123456789', '') IN ('', '.') AND e.amount NOT IN ('', '.') THEN e.amount::numeric END AS amount,
           CASE WHEN translate(e.balance, '0123456789', '') IN ('', '.', '-', '-.') AND e.balance NOT IN ('', '.', '-', '-.')
                   AND strpos(e.balance, '-') < 2
               THEN e.balance::numeric END AS balance_after,
           e.data ->> 'currency' AS currency,
           CASE WHEN e.kind = 'transfer' THEN substr(e.stream_id, 10) ELSE e.data ->> 'transfer_id' END COLLATE "C" AS transfer_id,
           'account-' || (e.data ->> 'from_account_id') AS source,
           'account-' || (e.data ->> 'to_account_id') AS destination,
           'account-' || (e.data ->> 'counterparty_account_id') AS counterparty
    FROM (
        SELECT e.*, k.stream_type AS kind, k.amount_field, k.change, k.paid_in, e.data ->> k.amount_field AS amount,
               CASE WHEN k.change <> 0 THEN e.data ->> 'balance_after' END AS balance
        FROM journal.events e
        LEFT JOIN kind k ON k.event_type = e.event_type AND k.stream_type = split_part(e.stream_id, '-', 1)) e
), entry AS (
    -- Each event of a stream, with what its account's balance must be after it. The hash comes first because ids that begin
    -- alike are slow to compare.
    SELECT e.position, e.version, e.event_type, e.kind, e.change, e.balance_after, e.paid_in * e.amount AS paid_in,
           e.change * e.amount AS moved,
           sum(e.change * e.amount) OVER stream AS balance,
           row_number() OVER stream AS nth,
           first_value(e.currency) OVER stream AS currency
    FROM event e
    WINDOW stream AS (PARTITION BY hashtextextended(e.stream_id, 0), e.stream_id ORDER BY e.position)
), step AS (
    -- Each step of a transfer, with the one before it and with what was requested.
    SELECT e.position, e.stream_id, e.event_type, e.amount, e.counterparty,
           lag(e.event_type) OVER transfer AS before,
           lag(e.stream_id) OVER transfer AS before_in,
           first_value(e.source) OVER transfer AS source,
           first_value(e.destination) OVER transfer AS destination,
           first_value(e.amount) OVER transfer AS requested,
           first_value(e.currency) OVER transfer AS currency
    FROM event e
    WHERE e.kind IS NOT NULL AND e.transfer_id IS NOT NULL
    WINDOW transfer AS (PARTITION BY e.transfer_id ORDER BY e.position)
), flow AS (
    SELECT e.position, e.currency, e.paid_in, e.balance_after - (e.balance - e.moved) AS held, 0 AS in_flight
    FROM entry e WHERE e.change <> 0
    UNION ALL
    -- Money is in flight from its sending until it has arrived once, there or back.
    SELECT s.position, s.currency, 0, 0,
           CASE
               WHEN s.event_type = 'TransferSent' THEN s.amount
               WHEN (s.event_type, s.before) IN (('TransferReceived', 'TransferSent'), ('TransferReturned', 'ReturnDecided'))
                   THEN -s.requested
               ELSE 0
           END
    FROM step s WHERE s.event_type IN ('TransferSent', 'TransferReceived', 'TransferReturned')
), currency AS MATERIALIZED (
    SELECT f.currency, sum(f.paid_in) AS paid_in, sum(f.held) AS held, sum(f.in_flight) AS in_flight,
           min(ARRAY[f.position, f.missing]) FILTER (WHERE f.missing <> 0) AS broken
    FROM (
        -- The two rows of one position are peers: neither sees the sum without the other.
        SELECT f.*, sum(f.paid_in - f.held - f.in_flight) OVER (PARTITION BY f.currency ORDER BY f.position) AS missing FROM flow f) f
    GROUP BY f.currency
), follower AS (
    SELECT e.position, e.recorded_at, lag(e.position, 1, 0::bigint) OVER w AS before, lag(e.recorded_at) OVER w AS recorded_before
    FROM journal.events e
    WINDOW w AS (ORDER BY e.position)
), ends AS (
    SELECT (SELECT h.position FROM journal.head h) AS head,
           coalesce((SELECT max(e.position) FROM journal.events e), 0) AS events,
           coalesce((SELECT max(b.last_position) FROM journal.batches b), 0) AS batches
), violation (rule, position, detail) AS (
    (SELECT 'positions', f.before + 1, format('nothing is recorded before position %s', f.position)
     FROM follower f
     WHERE f.position <> f.before + 1
     ORDER BY f.position LIMIT 1)
    UNION ALL
    SELECT 'positions', least(e.events, e.head) + 1, format('the events end at position %s, the head is at %s', e.events, e.head)
    FROM ends e WHERE e.events <> e.head
    UNION ALL
    (SELECT 'time', f.position, format('recorded at %s, after %s', f.recorded_at, f.recorded_before)
     FROM follower f
     WHERE f.recorded_at < f.recorded_before
     ORDER BY f.position LIMIT 1)
    UNION ALL
    (SELECT 'batches', b.before + 1, format('batch %s covers positions %s to %s', b.batch, b.first_position, b.last_position)
     FROM (
        SELECT b.*, lag(b.last_position, 1, 0::bigint) OVER w AS before, row_number() OVER w AS nth
        FROM journal.batches b
        WINDOW w AS (ORDER BY b.batch)) b
     WHERE (b.first_position, b.batch) <> (b.before + 1, b.nth)
     ORDER BY b.batch LIMIT 1)
    UNION ALL
    SELECT 'batches', least(e.events, e.batches) + 1, format('the events end at position %s, the batches at %s', e.events, e.batches)
    FROM ends e WHERE e.events <> e.batches
    UNION ALL
    (SELECT 'versions', e.position, format('version %s is number %s of its stream', e.version, e.nth)
     FROM entry e
     WHERE e.version <> e.nth
     ORDER BY e.position LIMIT 1)
    UNION ALL
    (SELECT 'kinds', e.position, CASE WHEN e.kind IS NULL THEN 'no account or transfer has such an event' ELSE 'an amount is missing' END
     FROM event e
     WHERE (e.kind IS NULL AND split_part(e.stream_id, '-', 1) IN ('account', 'transfer'))
        OR (e.amount_field IS NOT NULL AND e.amount IS NULL)
        OR (e.change <> 0 AND e.balance_after IS NULL)
     ORDER BY e.position LIMIT 1)
    UNION ALL
    (SELECT 'opening', e.position, format('number %s of its account', e.nth)
     FROM entry e
     WHERE e.kind = 'account' AND (e.event_type = 'AccountOpened') <> (e.nth = 1)
     ORDER BY e.position LIMIT 1)
    UNION ALL
    (SELECT 'balances', e.position, format('balance_after is %s, and what moved adds up to %s', e.balance_after, e.balance)
     FROM entry e
     WHERE e.change <> 0 AND e.balance_after <> e.balance
     ORDER BY e.position LIMIT 1)
    UNION ALL
    (SELECT 'below_zero', e.position, format('balance_after is %s', e.balance_after)
     FROM entry e
     WHERE e.balance_after < 0
     ORDER BY e.position LIMIT 1)
    UNION ALL
    (SELECT 'steps', s.position, format('it follows %s in %s', coalesce(s.before, 'nothing'), coalesce(s.before_in, 'no stream'))
     FROM step s
     WHERE (CASE s.event_type
            WHEN 'TransferRequested' THEN s.before IS NULL
            WHEN 'TransferSent' THEN (s.before, s.stream_id) = ('TransferRequested', s.source)
            WHEN 'TransferDeclined' THEN (s.before, s.stream_id) IN (('TransferRequested', s.source), ('TransferSent', s.destination))
            WHEN 'TransferRejected' THEN (s.before, s.before_in) = ('TransferDeclined', s.source)
            WHEN 'TransferReceived' THEN (s.before, s.stream_id) = ('TransferSent', s.destination)
            WHEN 'TransferCompleted' THEN s.before = 'TransferReceived'
            WHEN 'ReturnDecided' THEN (s.before, s.before_in) = ('TransferDeclined', s.destination)
            WHEN 'TransferReturned' THEN (s.before, s.stream_id) = ('ReturnDecided', s.source)
            WHEN 'TransferFailed' THEN s.before = 'TransferReturned'
            END) IS NOT TRUE
     ORDER BY s.position LIMIT 1)
    UNION ALL
    (SELECT 'amounts', s.position, format('%s with %s, and %s were requested from %s to %s',
            s.amount, s.counterparty, s.requested, s.source, s.destination)
     FROM step s
     WHERE s.event_type IN ('TransferSent', 'TransferReceived', 'TransferReturned')
        AND (s.amount, s.counterparty) IS DISTINCT FROM
            (s.requested, CASE s.stream_id WHEN s.source THEN s.destination ELSE s.source END)
     ORDER BY s.position LIMIT 1)
    UNION ALL
    SELECT 'conservation', c.broken[1]::bigint, format('%s %s is neither held nor in flight', c.broken[2], c.currency)
    FROM currency c WHERE c.broken IS NOT NULL
)
SELECT json_build_object(
    'position', (SELECT e.head FROM ends e),
    'currencies', (
        SELECT coalesce(json_agg(json_build_object(
            'currency', c.currency, 'paid_in', c.paid_in::text, 'held', c.held::text, 'in_flight', c.in_flight::text)
            ORDER BY c.currency), '[]')
        FROM currency c),
    'violations', (
        SELECT coalesce(json_agg(json_build_object(
            'rule', v.rule, 'position', v.position, 'stream_id', e.stream_id, 'event_type', e.event_type, 'detail', v.detail)
            ORDER BY v.position, v.rule), '[]')
        FROM violation v LEFT JOIN journal.events e ON e.position = v.position))
