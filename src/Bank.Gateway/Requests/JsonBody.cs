using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Bank.Gateway.Requests;

/// <summary>
/// Reads a body as one strict JSON object, each of whose fields is a string. No body at all is an object without fields. The server's
/// limit bounds its size.
/// </summary>
internal static class JsonBody
{
    public const int MaxBytes = 16 * 1024;

    private const string Body = "body";

    /// <exception cref="RequestRefusedException">It is no such object.</exception>
    /// <exception cref="BadHttpRequestException">It is too large, too slow, or broken off.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext http, JsonTypeInfo<T> type)
        where T : class
    {
        if (!IsJson(http.Request))
            throw new RequestRefusedException(new(ProblemCode.UnsupportedMediaType));
        var reader = http.Request.BodyReader;
        var read = await reader.ReadAsync(http.RequestAborted);
        while (!read.IsCompleted)
        {
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            read = await reader.ReadAsync(http.RequestAborted);
        }

        try
        {
            return Parse(read.Buffer.IsSingleSegment ? read.Buffer.FirstSpan : read.Buffer.ToArray(), type);
        }
        finally
        {
            // The server reads on from here, whether the body was sound or not.
            reader.AdvanceTo(read.Buffer.End);
        }
    }

    private static T Parse<T>(ReadOnlySpan<byte> body, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(body.IsEmpty ? "{}"u8 : body, type) ?? throw Refused(Body, "must be a JSON object");
        }
        catch (JsonException e) when (e.Path is ['$', '.', .. var field])
        {
            throw Refused(field, "is unknown here, repeated, or not a string");
        }
        catch (JsonException)
        {
            throw Refused(Body, "must be one JSON object in UTF-8, each of its fields a known one, there once, and a string");
        }
    }

    // The article's lines name no type, so curl names its default for them. Pages of other origins, which could send a form as well, do not
    // come this far.
    private static bool IsJson(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0)
            return false;
        if (request.Headers.ContentType.Count == 0)
            return true;
        return MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
                || type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
            && (type.Charset.Length == 0 || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase));
    }

    private static RequestRefusedException Refused(string field, string error) => new(Problem.Malformed(field, error));
}
