using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Bank.Gateway.Tests;

/// <summary>Sends bytes that no client library would, and reads what comes back.</summary>
internal static class RawHttp
{
    private static readonly TimeSpan AnswerTakes = TimeSpan.FromSeconds(60);

    /// <param name="address">Whom to.</param>
    /// <param name="request">Piece by piece, perhaps without an end: the server's answer ends it.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async Task<Answer> SendAsync(Uri address, IEnumerable<byte[]> request, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(AnswerTakes);
        try
        {
            return await SendOnceAsync(address, request, deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"Waited {AnswerTakes.TotalSeconds} s for an answer.");
        }
    }

    private static async Task<Answer> SendOnceAsync(Uri address, IEnumerable<byte[]> request, CancellationToken cancellation)
    {
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(address.Host, address.Port, cancellation);
        var stream = client.GetStream();
        var answer = ReadAsync(stream, cancellation);
        try
        {
            foreach (var piece in request)
            {
                if (answer.IsCompleted)
                    break;
                await stream.WriteAsync(piece, cancellation);
            }
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // The server has heard enough, and says so in what there is to read.
        }

        return Parse(await answer);
    }

    // Until the answer is complete: a server that refuses a body resets the connection afterwards, which must not be waited for.
    private static async Task<byte[]> ReadAsync(NetworkStream stream, CancellationToken cancellation)
    {
        var received = new ArrayBufferWriter<byte>();
        while (!IsComplete(received.WrittenSpan))
        {
            var read = await stream.ReadAsync(received.GetMemory(4096), cancellation);
            if (read == 0)
                break;
            received.Advance(read);
        }

        return received.WrittenSpan.ToArray();
    }

    private static bool IsComplete(ReadOnlySpan<byte> received)
    {
        var end = received.IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return false;
        var head = Encoding.Latin1.GetString(received[..end]);
        return head.Contains("chunked", StringComparison.Ordinal)
            ? received.EndsWith("\r\n0\r\n\r\n"u8)
            : head.Contains("Content-Length: 0", StringComparison.Ordinal);
    }

    private static Answer Parse(byte[] received)
    {
        var text = Encoding.Latin1.GetString(received);
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            throw new IOException($"The connection ended without an answer: \"{text}\"");
        var lines = text[..end].Split("\r\n");
        var headers = lines[1..].Select(line => line.Split(": ", 2))
            .ToDictionary(line => line[0], line => line[1], StringComparer.OrdinalIgnoreCase);
        var body = text[(end + 4)..];
        if (headers.ContainsKey("Transfer-Encoding"))
            body = Unchunk(body);
        return new(
            int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture),
            body.Length == 0 ? null : JsonNode.Parse(Encoding.Latin1.GetBytes(body)),
            headers);
    }

    private static string Unchunk(string body)
    {
        var whole = new StringBuilder();
        for (var at = 0; at < body.Length;)
        {
            var line = body.IndexOf("\r\n", at, StringComparison.Ordinal);
            var length = int.Parse(body[at..line], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            whole.Append(body, line + 2, length);
            at = line + 2 + length + 2;
        }

        return whole.ToString();
    }
}
