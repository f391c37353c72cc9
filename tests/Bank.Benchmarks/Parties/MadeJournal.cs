using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Bank.Domain;
using Bank.Events;
using Bank.Testing;
using Npgsql;
using NpgsqlTypes;
using Orleans.EventSourcing.Postgres;

namespace Bank.Benchmarks.Parties;

/// <summary>
/// A long journal, made quickly: the server itself puts together large batches for <c>journal.append</c>. Accounts that are opened, and
/// then get deposits in turn.
/// </summary>
internal static class MadeJournal
{
    /// <summary>Makes one.</summary>
    /// <param name="database">An empty one.</param>
    /// <param name="accounts">How many are opened.</param>
    /// <param name="rounds">How many events each of them has.</param>
    /// <param name="cancellation">Ends the making.</param>
    public static async Task MakeAsync(TestDatabase database, int accounts, int rounds, CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(database.App);
        for (var version = 1; version <= rounds; version++)
        {
            await using var append = source.CreateCommand(
                """
                SELECT count(*) FROM (
                    SELECT array_agg(1) AS ones, array_agg(n) AS epochs, array_agg(id) AS ids, array_agg($2::bigint) AS versions,
                           array_agg(CASE WHEN $2 > 1 THEN md5(id || ' ' || $2 - 1)::uuid END) AS previous,
                           array_agg(md5(id || ' ' || $2)::uuid) AS event_ids, array_agg($3::text) AS types,
                           array_agg(1::smallint) AS schemas, array_agg($4) AS data, array_agg($5) AS metadata
                    FROM (SELECT n, 'account-' || md5('account ' || n)::uuid AS id FROM generate_series(1, $1) n) a) made
                CROSS JOIN LATERAL journal.append('bench/made', 1, ones, epochs, ids, versions, previous, event_ids, types, schemas, data,
                    metadata, '{}', '{}')
                WHERE kind = 1
                """);
            append.CommandTimeout = 0;
            append.Parameters.Add(new NpgsqlParameter<int> { TypedValue = accounts });
            append.Parameters.Add(new NpgsqlParameter<int> { TypedValue = version });
            append.Parameters.Add(new NpgsqlParameter<string> { TypedValue = version == 1 ? "AccountOpened" : "MoneyDeposited" });
            append.Parameters.Add(Json(version == 1 ? Opened : Payload.DataBytes));
            append.Parameters.Add(Json(Payload.MetadataBytes));
            if ((long)(await append.ExecuteScalarAsync(cancellation))! > 0)
                throw new InvalidOperationException("Not all of the journal was appended.");
        }

        await using var owner = NpgsqlDataSource.Create(database.Owner);
        await using var analyze = owner.CreateCommand("ANALYZE journal.events");
        await analyze.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The stream of an account, from 1.</summary>
    public static string StreamOf(int account) => new AccountId(Hashed($"account {account}")).StreamId;

    /// <summary>How a stream stands that has so many events.</summary>
    public static StreamState StateOf(string stream, int version) =>
        new(version, Hashed(string.Create(CultureInfo.InvariantCulture, $"{stream} {version}")));

    /// <summary>What an account's opening leaves in the journal.</summary>
    public static byte[] Opened { get; } = JsonSerializer.SerializeToUtf8Bytes(
        new AccountOpened("Ada Lovelace", null, Currency.Parse("USD"), new(0, 2), new(0, 2)), BankJson.Default.AccountOpened);

    // As md5(text)::uuid; an id, and no secret.
#pragma warning disable CA5351
    private static Guid Hashed(string text) => new(MD5.HashData(Encoding.UTF8.GetBytes(text)), bigEndian: true);
#pragma warning restore CA5351

    private static NpgsqlParameter<byte[]> Json(byte[] value) => new() { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Jsonb };
}
