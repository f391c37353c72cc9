using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Bank.Testing;
using Npgsql;
using Xunit;

namespace Bank.Deploy.Tests;

public sealed class ObservabilityTests(PrivatePostgres postgres)
{
    private const string Folder = "deploy/observability";
    private const string Rules = $"{Folder}/prometheus/rules/bank.yml";
    private const string RuleTests = $"{Folder}/prometheus/tests/bank.test.yml";
    private const string Runbooks = "docs/OPERATIONS.md";

    private static readonly List<JsonNode> AllRules =
        [.. Yaml.Parse(Repository.Read(Rules)).List("groups").SelectMany(group => group.List("rules"))];

    private static readonly List<(string File, JsonObject Json)> Dashboards =
    [
        .. from file in Directory.EnumerateFiles(Repository.At($"{Folder}/grafana/dashboards")).Order(StringComparer.Ordinal)
           select (Path.GetFileName(file), JsonNode.Parse(File.ReadAllText(file))!.AsObject()),
    ];

    public static TheoryData<string> Alerts =>
        [.. AllRules.Select(rule => rule.Text("alert")).Where(name => name.Length > 0)];

    [Fact]
    public Task Promtool_accepts_configuration_and_rules() =>
        Tool.Promtool.RunAsync("check", "config", $"{Folder}/prometheus/prometheus.yml");

    [Fact]
    public async Task The_rules_pass_their_unit_tests() =>
        Assert.Contains("SUCCESS", await Tool.Promtool.RunAsync("test", "rules", RuleTests), StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Alerts))]
    public void Each_alert_has_a_time_at_which_it_is_quiet_and_one_at_which_it_fires(string alert)
    {
        var cases = Yaml.Parse(Repository.Read(RuleTests)).List("tests")
            .SelectMany(test => test.List("alert_rule_test"))
            .Where(test => test.Text("alertname") == alert)
            .Select(test => test.List("exp_alerts").Any());
        Assert.Equal([false, true], cases.Order());
    }

    [Theory]
    [MemberData(nameof(Alerts))]
    public void Each_alert_says_what_it_is_how_grave_and_where_its_runbook_stands(string alert)
    {
        var rule = AllRules.Single(rule => rule.Text("alert") == alert);
        Assert.Contains(rule["labels"].Text("severity"), (string[])["critical", "warning"]);
        Assert.NotEmpty(rule["annotations"].Text("summary"));
        Assert.NotEmpty(rule["annotations"].Text("description"));
        Assert.Equal($"{Runbooks}#{Anchor(alert)}", rule["annotations"].Text("runbook"));
        var section = Assert.Single(Sections(), section => section.Heading == alert);
        Assert.Contains("**Do:**", section.Text, StringComparison.Ordinal);
    }

    // Planned and not run: the names are right, and nobody at 3 a.m. has to correct a statement.
    [Fact]
    public async Task Every_statement_of_the_operations_page_is_one_on_a_migrated_database()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var owner = NpgsqlDataSource.Create(database.Owner + ";Pooling=false");
        var page = Repository.Read(Runbooks);
        List<string> statements =
        [
            .. Regex.Matches(page, "^```sql\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)
                .SelectMany(block => block.Groups[1].Value.Split(';'))
                .Concat(Regex.Matches(page, "`(select [^`]+)`").Select(span => span.Groups[1].Value))
                .Where(statement => statement.Contains("select", StringComparison.Ordinal)),
        ];
        Assert.True(statements.Count >= 8, string.Join('\n', statements));
        foreach (var statement in statements)
        {
            await using var plan = owner.CreateCommand($"explain {Regex.Replace(statement, "^--.*\n", "", RegexOptions.Multiline)}");
            var refusal = await Record.ExceptionAsync(() => plan.ExecuteNonQueryAsync(TestContext.Current.CancellationToken));
            Assert.True(refusal is null, $"{statement}\n{refusal?.Message}");
        }
    }

    [Fact]
    public void Each_runbook_belongs_to_an_alert() => Assert.Equal(
        Alerts.Select(row => row.Data).Order(StringComparer.Ordinal),
        Sections().Select(section => section.Heading).Where(heading => heading.StartsWith("Bank", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal));

    [Fact]
    public void Every_metric_that_a_rule_or_a_panel_names_is_in_the_list_or_recorded_by_another_rule()
    {
        var known = Instrument.All.SelectMany(instrument => instrument.Series)
            .Concat(AllRules.Select(rule => rule.Text("record")))
            // Prometheus makes these two itself.
            .Concat(["up", "ALERTS"])
            .ToHashSet(StringComparer.Ordinal);
        Assert.Empty(
            from named in Expressions()
            from metric in PromQl.Metrics(named.Expression)
            where !known.Contains(metric)
            select $"{named.Where}: {metric}");
    }

    [Fact]
    public void Every_metric_of_the_list_is_looked_at_by_a_rule_or_a_panel()
    {
        var named = Expressions().SelectMany(e => PromQl.Metrics(e.Expression)).ToHashSet(StringComparer.Ordinal);
        Assert.Empty(Instrument.All.Where(instrument => !instrument.Series.Any(named.Contains)).Select(instrument => instrument.Name));
    }

    [Theory]
    [InlineData("""sum by (a, b) (rate(x_total{l=~"y}z(.*", m="n"}[5m])) / on (c) group_left (d) k:z:p99 > 1e3""", "x_total k:z:p99")]
    [InlineData("""(sum(up{job="bank"}) or vector(0)) == 0 unless on (instance) journal_queue_length""", "up journal_queue_length")]
    [InlineData("histogram_quantile(0.99, sum by (le) (rate(s_bucket[1m] offset 5m))) > bool 0.5", "s_bucket")]
    public void The_metrics_of_an_expression_are_found(string expression, string metrics) =>
        Assert.Equal(metrics.Split(' ').ToHashSet(), PromQl.Metrics(expression).ToHashSet());

    // promtool reads rules only, so each panel's expression is made one.
    [Fact]
    public async Task Promtool_accepts_every_panel_s_expression()
    {
        var rules = new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject
            {
                ["name"] = "panels",
                ["rules"] = new JsonArray([.. PanelExpressions().Select((panel, i) => (JsonNode)new JsonObject
                {
                    ["record"] = $"panel_{i}",
                    ["expr"] = panel.Expression,
                })]),
            }),
        };
        var file = Path.Combine(Path.GetTempPath(), $"bank-panels-{Guid.NewGuid():n}.yml");
        try
        {
            await File.WriteAllTextAsync(file, rules.ToJsonString(), TestContext.Current.CancellationToken);
            await Tool.Promtool.RunAsync("check", "rules", file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Each_dashboard_has_a_name_of_its_own_and_panels_that_do_not_overlap()
    {
        Assert.Distinct(Dashboards.Select(dashboard => dashboard.Json.Text("uid")));
        Assert.All(Dashboards, dashboard =>
        {
            var panels = dashboard.Json.List("panels").ToList();
            Assert.Distinct(panels.Select(panel => (int)panel["id"]!));
            var cells =
                from panel in panels
                let at = panel["gridPos"].Deserialize<Dictionary<string, int>>()!
                from x in Enumerable.Range(at["x"], at["w"])
                from y in Enumerable.Range(at["y"], at["h"])
                select (x, y);
            Assert.Distinct(cells);
            Assert.All(cells, cell => Assert.InRange(cell.x, 0, 23));
        });
    }

    [Fact]
    public void Grafana_finds_its_data_source_and_its_dashboards_where_compose_puts_them()
    {
        var source = Assert.Single(
            Yaml.Parse(Repository.Read($"{Folder}/grafana/provisioning/datasources/prometheus.yml")).List("datasources"));
        Assert.Equal("http://prometheus:9090", source.Text("url"));
        Assert.All(
            Dashboards.SelectMany(d => d.Json.List("panels")).Where(panel => panel.Text("type") != "row"),
            panel => Assert.Equal(source.Text("uid"), panel["datasource"].Text("uid")));

        var provider = Assert.Single(Yaml.Parse(Repository.Read($"{Folder}/grafana/provisioning/dashboards/bank.yml")).List("providers"));
        var path = provider["options"].Text("path");
        var grafana = Yaml.Parse(Repository.Read("docker-compose.yml"))["services"]!["grafana"]!;
        Assert.Contains($"./{Folder}/grafana/dashboards:{path}:ro", grafana.Texts("volumes"));
        Assert.Contains($"./{Folder}/grafana/provisioning:/etc/grafana/provisioning:ro", grafana.Texts("volumes"));
        var home = grafana["environment"].Text("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH");
        Assert.Contains(Dashboards, dashboard => $"{path}/{dashboard.File}" == home);
    }

    private static IEnumerable<(string Where, string Expression)> Expressions() => AllRules
        .Select(rule => ($"{Rules}: {rule.Text("alert")}{rule.Text("record")}", rule.Text("expr")))
        .Concat(PanelExpressions());

    private static IEnumerable<(string Where, string Expression)> PanelExpressions() =>
        from dashboard in Dashboards
        from panel in dashboard.Json.List("panels")
        from target in panel.List("targets")
        select ($"{dashboard.File}: {panel.Text("title")}", target.Text("expr"));

    private static IEnumerable<(string Heading, string Text)> Sections() =>
        from part in Regex.Split(Repository.Read(Runbooks), "^#+ ", RegexOptions.Multiline).Skip(1)
        let lines = part.Split('\n', 2)
        select (lines[0].Trim(), lines[1]);

    // As the sites that show Markdown make them.
    private static string Anchor(string heading) => heading.ToLowerInvariant().Replace(' ', '-');
}
