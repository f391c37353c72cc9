using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;
using Orleans.Storage;
using Xunit;

namespace Bank.Cluster.Tests.Storage;

/// <summary>What Orleans asks of grain storage, through its own provider; each test has grains of its own.</summary>
public sealed class GrainStorageTests(TwoSilos cluster) : IClassFixture<TwoSilos>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private IGrainStorage Keeping => cluster.First.Services.GetRequiredKeyedService<IGrainStorage>(TestSilo.KeepingStore);

    private IGrainStorage Deleting => cluster.First.Services.GetRequiredKeyedService<IGrainStorage>(TestSilo.DeletingStore);

    public static TheoryData<string> Keys => [.. KeysByName.Keys];

    private static readonly Dictionary<string, IdSpan> KeysByName = new()
    {
        ["text"] = IdSpan.Create($"Ünïcødé / {Guid.NewGuid()}"),
        ["long text"] = IdSpan.Create(new string('x', 2000) + Guid.NewGuid()),
        ["guid"] = GrainIdKeyExtensions.CreateGuidKey(Guid.NewGuid()),
        ["guid and text"] = GrainIdKeyExtensions.CreateGuidKey(Guid.NewGuid(), "text"),
        ["number"] = GrainIdKeyExtensions.CreateIntegerKey(long.MinValue),
        ["number and text"] = GrainIdKeyExtensions.CreateIntegerKey(long.MinValue, "text"),
        ["another number and text"] = GrainIdKeyExtensions.CreateIntegerKey(long.MinValue, "texts"),
    };

    [Theory]
    [MemberData(nameof(Keys))]
    public async Task State_is_written_read_cleared_and_written_again_under_a_key_of_any_kind(string kind)
    {
        var grain = GrainId.Create(GrainType.Create("note"), KeysByName[kind]);
        foreach (var store in new[] { Keeping, Deleting })
        {
            var type = store == Keeping ? "kept" : "deleted";
            var fresh = await Read(store, grain, type);
            Assert.False(fresh.RecordExists);
            Assert.Null(fresh.ETag);

            fresh.State!.Text = kind;
            await store.WriteStateAsync(type, grain, fresh, Cancelled);
            fresh.State!.Text = $"{kind}, again";
            await store.WriteStateAsync(type, grain, fresh, Cancelled);

            var read = await Read(store, grain, type);
            Assert.True(read.RecordExists);
            Assert.Equal(fresh.ETag, read.ETag);
            Assert.Equal($"{kind}, again", read.State!.Text);

            await store.ClearStateAsync(type, grain, read, Cancelled);
            Assert.False(read.RecordExists);
            Assert.Null(read.State!.Text);
            var cleared = await Read(store, grain, type);
            Assert.False(cleared.RecordExists);
            Assert.Equal(store == Keeping, cleared.ETag is not null);
            Assert.Equal(read.ETag, cleared.ETag);

            cleared.State!.Text = "after clearing";
            await store.WriteStateAsync(type, grain, cleared, Cancelled);
            Assert.Equal("after clearing", (await Read(store, grain, type)).State!.Text);
        }
    }

    [Fact]
    public async Task Grains_that_differ_in_type_or_key_alone_have_states_of_their_own()
    {
        var guid = Guid.NewGuid();
        (string Type, GrainId Grain)[] all =
        [
            .. from type in new[] { "own", "Own", "owner" }
               from key in new[]
               {
                   GrainIdKeyExtensions.CreateGuidKey(guid), GrainIdKeyExtensions.CreateGuidKey(guid, "a"),
                   GrainIdKeyExtensions.CreateGuidKey(guid, "A"), GrainIdKeyExtensions.CreateIntegerKey(7),
                   GrainIdKeyExtensions.CreateIntegerKey(-7), IdSpan.Create("seven"),
               }
               select (type, GrainId.Create(GrainType.Create("note"), key)),
        ];
        foreach (var (type, grain) in all)
        {
            var state = await Read(Keeping, grain, type);
            Assert.False(state.RecordExists);
            state.State!.Text = $"{type} {grain}";
            await Keeping.WriteStateAsync(type, grain, state, Cancelled);
        }

        foreach (var (type, grain) in all)
        {
            Assert.Equal($"{type} {grain}", (await Read(Keeping, grain, type)).State!.Text);
        }
    }

    [Fact]
    public async Task Of_many_activations_that_write_first_one_wins()
    {
        var grain = NewGrain();

        // A transaction that is about to create the row, and then does not.
        var hold = $"INSERT INTO grain_states (service_id, grain_type, key_n0, key_n1, key_text) "
            + $"VALUES ('{TwoSilos.ClusterId}', 'note', 0, 0, '{grain.Key}')";
        var rivals = Enumerable.Range(0, 24).Select(_ => New());
        Assert.Equal(1, await WinnersAsync(hold, rivals, s => Keeping.WriteStateAsync("note", grain, s)));

        Assert.Equal(1, await cluster.ScalarAsync<long>($"SELECT count(*) FROM grain_states WHERE key_text = '{grain.Key}'"));
    }

    [Fact]
    public async Task Of_many_activations_that_replace_one_version_one_wins_and_its_state_stays()
    {
        var grain = NewGrain();
        await Keeping.WriteStateAsync("note", grain, New(), Cancelled);
        var rivals = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => Read(Keeping, grain)));
        foreach (var rival in rivals)
        {
            rival.State!.Text = Guid.NewGuid().ToString();
        }

        Assert.Equal(1, await WinnersAsync(Hold(grain), rivals, s => Keeping.WriteStateAsync("note", grain, s)));

        var left = await Read(Keeping, grain);
        Assert.Equal(left.State!.Text, Assert.Single(rivals, r => r.ETag == left.ETag).State!.Text);
    }

    [Fact]
    public async Task Of_many_activations_that_clear_one_version_one_wins()
    {
        foreach (var store in new[] { Keeping, Deleting })
        {
            var grain = NewGrain();
            await store.WriteStateAsync("note", grain, New(), Cancelled);
            var rivals = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => Read(store, grain)));

            Assert.Equal(1, await WinnersAsync(Hold(grain), rivals, s => store.ClearStateAsync("note", grain, s)));
        }
    }

    [Fact]
    public async Task An_activation_that_was_overtaken_can_neither_write_nor_clear()
    {
        foreach (var store in new[] { Keeping, Deleting })
        {
            var grain = NewGrain();
            await store.WriteStateAsync("note", grain, New(), Cancelled);
            var stale = await Read(store, grain);
            var current = await Read(store, grain);

            current.State!.Text = "current";
            await store.WriteStateAsync("note", grain, current, Cancelled);
            await Refused(store, grain, stale);
            await Refused(store, grain, New());
            Assert.Equal("current", (await Read(store, grain)).State!.Text);

            await store.ClearStateAsync("note", grain, current, Cancelled);
            await Refused(store, grain, stale);
            Assert.False((await Read(store, grain)).RecordExists);
        }
    }

    [Fact]
    public async Task A_version_of_a_state_that_was_deleted_is_not_given_to_the_next_one()
    {
        var grain = NewGrain();
        var stale = new List<GrainState<Note>>();
        var current = New();
        for (var life = 0; life < 3; life++)
        {
            for (var write = 0; write < 3; write++)
            {
                await Deleting.WriteStateAsync("note", grain, current, Cancelled);
                stale.Add(await Read(Deleting, grain));
            }
            await Deleting.ClearStateAsync("note", grain, current, Cancelled);
        }
        current.State!.Text = "current";
        await Deleting.WriteStateAsync("note", grain, current, Cancelled);

        foreach (var state in stale)
        {
            await Refused(Deleting, grain, state);
        }
        Assert.Equal("current", (await Read(Deleting, grain)).State!.Text);
    }

    [Fact]
    public async Task A_big_state_comes_back_whole()
    {
        var grain = NewGrain();
        var text = string.Create(2_000_000, 17, (span, seed) => new Random(seed).GetItems("abcdefghijklmnopqrstuvwxyzäß€", span));
        await Keeping.WriteStateAsync("note", grain, new GrainState<Note>(new Note { Text = text }), Cancelled);

        Assert.Equal(text, (await Read(Keeping, grain)).State!.Text);
    }

    [Fact]
    public async Task A_null_state_is_a_record()
    {
        var grain = NewGrain();
        var written = new GrainState<Note>(null!);
        await Keeping.WriteStateAsync("note", grain, written, Cancelled);

        var read = await Read(Keeping, grain);
        Assert.True(read.RecordExists);
        Assert.Equal(written.ETag, read.ETag);
        Assert.Null(read.State!.Text);
        read.State!.Text = "something";
        await Keeping.WriteStateAsync("note", grain, read, Cancelled);
        Assert.Equal("something", (await Read(Keeping, grain)).State!.Text);
    }

    [GenerateSerializer]
    public sealed class Note
    {
        [Id(0)]
        public string? Text { get; set; }
    }

    private static GrainId NewGrain() => GrainId.Create("note", Guid.NewGuid().ToString());

    private static GrainState<Note> New() => new(new Note());

    private static async Task<GrainState<Note>> Read(IGrainStorage store, GrainId grain, string type = "note")
    {
        var state = New();
        await store.ReadStateAsync(type, grain, state, Cancelled);
        return state;
    }

    private static async Task Refused(IGrainStorage store, GrainId grain, GrainState<Note> state)
    {
        await Assert.ThrowsAsync<InconsistentStateException>(() => store.WriteStateAsync("note", grain, state, Cancelled));
        if (state.ETag is not null)
        {
            await Assert.ThrowsAsync<InconsistentStateException>(() => store.ClearStateAsync("note", grain, state, Cancelled));
        }
    }

    private static string Hold(GrainId grain) => $"SELECT FROM grain_states WHERE key_text = '{grain.Key}' FOR UPDATE";

    private async Task<int> WinnersAsync(string hold, IEnumerable<GrainState<Note>> rivals, Func<GrainState<Note>, Task> act)
    {
        var won = await Race.RunAsync(cluster.ConnectionString, hold, rivals.Select(rival => (Func<Task<bool>>)(async () =>
        {
            try
            {
                await act(rival);
                return true;
            }
            catch (InconsistentStateException)
            {
                return false;
            }
        })));
        return won.Count(w => w);
    }
}
