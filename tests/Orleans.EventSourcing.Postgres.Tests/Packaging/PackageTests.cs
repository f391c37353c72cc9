using System.IO.Compression;
using System.Reflection.Metadata;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Bank.Testing;
using Npgsql;
using Orleans.EventSourcing.Postgres.Tests.Hosting;
using Xunit;

namespace Orleans.EventSourcing.Postgres.Tests.Packaging;

public sealed class PackageTests(PackedEngine package, PrivatePostgres postgres) : IClassFixture<PackedEngine>
{
    // What a debugger looks for in a PDB: a document's own text.
    private static readonly Guid EmbeddedSource = new("0e8a571b-6926-466e-b4ad-8ab04611f5fe");

    [Fact]
    public async Task The_program_of_the_page_counts_on_from_what_it_counted_before_it_was_started_again()
    {
        // Other tests' silos have ports, too.
        const string anyPorts = "UseLocalhostClustering()";
        Assert.Contains(anyPorts, PackedEngine.Readme, StringComparison.Ordinal);
        var program = await package.BuildConsumerAsync(file => file.Replace(
            anyPorts, $"UseLocalhostClustering({JournalSilo.FreePort()}, {JournalSilo.FreePort()})", StringComparison.Ordinal));
        var database = await postgres.CreateEmptyDatabaseAsync();
        var superuser = new NpgsqlConnectionStringBuilder(postgres.Server.SuperuserConnectionString) { Database = database.Name };
        foreach (var visit in (int[])[1, 2])
        {
            var said = await PackedEngine.DotnetAsync(
                [program],
                ("ConnectionStrings__Owner", superuser.ConnectionString),
                ("ConnectionStrings__Journal", database.App),
                ("Logging__LogLevel__Default", "Error"));
            Assert.Equal($"{visit}", said.Trim());
        }

        await using var app = NpgsqlDataSource.Create(database.App);
        await using var recorded = app.CreateCommand(
            "SELECT array_agg(stream_id || ' ' || version || ' ' || event_type ORDER BY position) FROM journal.events");
        Assert.Equal(
            ["counter-visits 1 Added", "counter-visits 2 Added"],
            (string[])(await recorded.ExecuteScalarAsync(TestContext.Current.CancellationToken))!);
    }

    [Fact]
    public async Task The_package_has_page_licence_documentation_and_three_dependencies()
    {
        await using var files = await package.OpenAsync("nupkg");
        var about = XDocument.Parse(await ReadAsync(files, $"{PackedEngine.Id}.nuspec")).Root!.Elements().Single();
        Assert.Equal("Apache-2.0", Of("license")!.Value);
        Assert.Matches("^[0-9a-f]{40}$", Of("repository")!.Attribute("commit")!.Value);
        Assert.Equal(PackedEngine.Readme, await ReadAsync(files, Of("readme")!.Value));
        Assert.Equal(
            ["Microsoft.Orleans.EventSourcing", "Microsoft.Orleans.Streaming", "Npgsql"],
            about.Descendants().Where(e => e.Name.LocalName == "dependency").Select(e => e.Attribute("id")!.Value));
        Assert.Equal(
            [$"lib/net10.0/{PackedEngine.Id}.dll", $"lib/net10.0/{PackedEngine.Id}.xml"],
            files.Entries.Select(entry => entry.FullName).Where(name => name.StartsWith("lib/", StringComparison.Ordinal)).Order());
        Assert.Contains(
            "M:Orleans.Hosting.PostgresJournalHosting.AddPostgresJournal",
            await ReadAsync(files, $"lib/net10.0/{PackedEngine.Id}.xml"),
            StringComparison.Ordinal);

        XElement? Of(string name) => about.Elements().SingleOrDefault(e => e.Name.LocalName == name);
    }

    [Fact]
    public async Task The_symbols_hold_the_source_of_every_file()
    {
        await using var files = await package.OpenAsync("snupkg");
        using var copy = new MemoryStream();
        await using (var pdb = await files.GetEntry($"lib/net10.0/{PackedEngine.Id}.pdb")!.OpenAsync(TestContext.Current.CancellationToken))
            await pdb.CopyToAsync(copy, TestContext.Current.CancellationToken);
        copy.Position = 0;
        using var provider = MetadataReaderProvider.FromPortablePdbStream(copy);
        var reader = provider.GetMetadataReader();
        Assert.NotEmpty(reader.Documents);
        Assert.All(reader.Documents, document => Assert.Contains(
            EmbeddedSource,
            reader.GetCustomDebugInformation(document).Select(found => reader.GetGuid(reader.GetCustomDebugInformation(found).Kind))));
    }

    [Fact]
    public void Ten_lines_put_a_grain_on_PostgreSQL()
    {
        var program = Regex.Match(PackedEngine.Readme, @"// Program\.cs\n(.+?)\n```", RegexOptions.Singleline).Groups[1].Value;
        var from = program.IndexOf("var builder", StringComparison.Ordinal);
        var to = program.IndexOf("\n\nConsole", StringComparison.Ordinal);
        Assert.Equal(10, program[from..to].Split('\n').Length);
    }

    private static async Task<string> ReadAsync(ZipArchive files, string name)
    {
        using var reader = new StreamReader(await files.GetEntry(name)!.OpenAsync(TestContext.Current.CancellationToken));
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }
}
