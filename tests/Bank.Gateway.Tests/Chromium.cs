using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>A real browser without a window, with one page open, driven over its DevTools protocol.</summary>
internal sealed class Chromium : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly string _profile = Directory.CreateTempSubdirectory("bank-browser-").FullName;
    private readonly ClientWebSocket _page = new();
    private readonly Process _process;
    private readonly Task<string> _errors;
    private int _asked;

    private Chromium(string program)
    {
        _process = Process.Start(new ProcessStartInfo(program,
        [
            // Root has no sandbox, and a container little shared memory.
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--no-proxy-server", "--remote-debugging-port=0", $"--user-data-dir={_profile}",
            "about:blank",
        ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Opens an address.</summary>
    public static async Task<Chromium> OpenAsync(Uri address)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(directory => new[] { "chromium", "chromium-browser", "google-chrome" }, Path.Combine).FirstOrDefault(File.Exists);
        Assert.True(
            program is not null,
            "A browser is missing. On Debian: apt-get install --no-install-recommends chromium (.ci/run does it)");
        var browser = new Chromium(program);
        try
        {
            await browser.NavigateAsync(address);
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>What an expression is worth on the page.</summary>
    public async Task<JsonNode?> EvaluateAsync(string expression)
    {
        var answer = await AskAsync("Runtime.evaluate", new() { ["expression"] = expression, ["returnByValue"] = true });
        return answer["exceptionDetails"] is { } failed
            ? throw new InvalidOperationException($"{expression}: {failed.ToJsonString()}")
            : answer["result"]!["value"];
    }

    public async ValueTask DisposeAsync()
    {
        _page.Dispose();
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        Directory.Delete(_profile, recursive: true);
    }

    private async Task NavigateAsync(Uri address)
    {
        // It writes down on which port it can be driven.
        var file = Path.Combine(_profile, "DevToolsActivePort");
        await Eventually.UntilAsync(
            "the browser says where it is driven",
            () => _process.HasExited
                ? throw new InvalidOperationException($"The browser has ended: {_errors.Result}")
                : Task.FromResult((File.Exists(file) && File.ReadAllLines(file).Length == 2, (object?)"no port")),
            Patience);
        using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{File.ReadLines(file).First()}") };
        var pages = await Eventually.UntilAsync(
            "the browser has its page",
            async () => JsonNode.Parse(await http.GetStringAsync("/json/list", Cancellation))!.AsArray(),
            all => all.Any(IsPage),
            Patience);
        await _page.ConnectAsync(new((string)pages.First(IsPage)!["webSocketDebuggerUrl"]!), Cancellation);
        await AskAsync("Page.navigate", new() { ["url"] = address.ToString() });

        static bool IsPage(JsonNode? target) => (string?)target!["type"] == "page";
    }

    private async Task<JsonNode> AskAsync(string method, JsonObject parameters)
    {
        var id = ++_asked;
        var question = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters };
        await _page.SendAsync(
            JsonSerializer.SerializeToUtf8Bytes(question), WebSocketMessageType.Text, endOfMessage: true, Cancellation);
        while (true)
        {
            using var message = new MemoryStream();
            var buffer = new byte[1 << 14];
            WebSocketReceiveResult received;
            do
            {
                received = await _page.ReceiveAsync(buffer, Cancellation);
                message.Write(buffer, 0, received.Count);
            }
            while (!received.EndOfMessage);
            // Events of the browser come in between.
            if (JsonNode.Parse(message.ToArray()) is { } answer && (int?)answer["id"] == id)
                return answer["result"] ?? throw new InvalidOperationException($"{method}: {answer.ToJsonString()}");
        }
    }
}
