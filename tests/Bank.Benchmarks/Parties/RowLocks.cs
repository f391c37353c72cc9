using Bank.Benchmarks.Measuring;
using Bank.Testing;
using Npgsql;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// Transfers as most people would write them: one transaction that notes the idempotency key, locks both balances in the order of their
/// ids, changes them, and writes two rows of a ledger. 32 connections, prepared statements.
/// </summary>
internal sealed class RowLocks : IAsyncDisposable
{
    private const int Connections = 32;

    private const string Tables =
        """
        CREATE TABLE accounts (id uuid PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
        CREATE TABLE ledger (
            id bigserial PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts, transfer_id uuid NOT NULL, amount bigint NOT NULL,
            balance_after bigint NOT NULL, description text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now());
        CREATE INDEX ON ledger (account_id, id);
        CREATE TABLE idempotency (key uuid PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now());
        """;

    private readonly NpgsqlDataSource _source;
    private readonly Guid[] _accounts;

    private RowLocks(TestDatabase database, int accounts)
    {
        _source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(database.Owner) { MaxPoolSize = Connections, MaxAutoPrepare = 20 });
        _accounts = [.. Enumerable.Range(0, accounts).Select(_ => Guid.NewGuid())];
    }

    public static async Task<RowLocks> PrepareAsync(UnshakenPostgres postgres, Pace pace, CancellationToken cancellation)
    {
        var locks = new RowLocks(await postgres.CreateEmptyDatabaseAsync(), pace.Accounts);
        await using var create = locks._source.CreateCommand(Tables);
        await create.ExecuteNonQueryAsync(cancellation);
        await using var open = locks._source.CreateCommand($"INSERT INTO accounts SELECT unnest($1), {BankInProcess.InitialDeposit}");
        open.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = locks._accounts });
        await open.ExecuteNonQueryAsync(cancellation);
        return locks;
    }

    public LoadParty Transfers(Spread spread) => new(
        $"row locks, {spread}", "transfers/s",
        (time, cancellation) => Load.RunAsync(Connections, time, _ => TransferAsync(spread), cancellation));

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private async Task TransferAsync(Spread spread)
    {
        var (payer, payee) = spread.Next();
        var (from, to, transfer) = (_accounts[payer], _accounts[payee], Guid.CreateVersion7());
        const long amount = 100;
        await using var connection = await _source.OpenConnectionAsync(CancellationToken.None);
        await using var transaction = await connection.BeginTransactionAsync(CancellationToken.None);
        await using var note = Command("INSERT INTO idempotency (key) VALUES ($1) ON CONFLICT DO NOTHING", transfer);
        if (await note.ExecuteNonQueryAsync(CancellationToken.None) == 0)
            throw new InvalidOperationException("A key came twice.");
        var balances = new Dictionary<Guid, long>();
        await using (var read = Command("SELECT id, balance FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE", from, to))
        await using (var reader = await read.ExecuteReaderAsync(CancellationToken.None))
            while (await reader.ReadAsync(CancellationToken.None))
                balances.Add(reader.GetGuid(0), reader.GetInt64(1));
        if (balances[from] < amount)
            throw new InvalidOperationException("An account ran dry.");
        await using var move = new NpgsqlBatch(connection, transaction)
        {
            BatchCommands =
            {
                Change(from, balances[from] - amount),
                Change(to, balances[to] + amount),
                Note(from, -amount, balances[from] - amount),
                Note(to, amount, balances[to] + amount),
            },
        };
        await move.ExecuteNonQueryAsync(CancellationToken.None);
        await transaction.CommitAsync(CancellationToken.None);

        NpgsqlCommand Command(string sql, params ReadOnlySpan<Guid> ids)
        {
            var command = new NpgsqlCommand(sql, connection, transaction);
            foreach (var id in ids)
                command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
            return command;
        }

        static NpgsqlBatchCommand Change(Guid account, long balance) => new("UPDATE accounts SET balance = $2 WHERE id = $1")
        {
            Parameters = { new NpgsqlParameter<Guid> { TypedValue = account }, new NpgsqlParameter<long> { TypedValue = balance } },
        };

        NpgsqlBatchCommand Note(Guid account, long change, long balance) => new(
            "INSERT INTO ledger (account_id, transfer_id, amount, balance_after, description) VALUES ($1, $2, $3, $4, $5)")
        {
            Parameters =
            {
                new NpgsqlParameter<Guid> { TypedValue = account },
                new NpgsqlParameter<Guid> { TypedValue = transfer },
                new NpgsqlParameter<long> { TypedValue = change },
                new NpgsqlParameter<long> { TypedValue = balance },
                new NpgsqlParameter<string> { TypedValue = Payload.Description },
            },
        };
    }
}
