using System.Globalization;
using Bank.Domain;
using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;

namespace Bank.Gateway.Requests;

/// <summary>The query of a request, strictly: only known parameters, each once, each in range. Names are case-sensitive.</summary>
internal sealed class QueryParameters
{
    private const int MaxLimit = 1_000;
    private const int DefaultLimit = 100;

    private static readonly string[] TimeForms = ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFK"];

    private readonly IQueryCollection _query;
    private readonly RequestErrors _errors = new();

    public QueryParameters(HttpContext http, params ReadOnlySpan<string> known)
    {
        _query = http.Request.Query;
        foreach (var (name, values) in _query)
        {
            if (!known.Contains(name))
                _errors.Add(name, "is no parameter of this resource");
            else if (values.Count > 1)
                _errors.Add(name, "is repeated");
        }
    }

    /// <exception cref="RequestRefusedException">Something is wrong with what was asked for so far, or with a name.</exception>
    public void ThrowIfWrong() => _errors.ThrowIfAny();

    public int Limit() => (int)Whole("limit", 1, MaxLimit, DefaultLimit);

    /// <summary>A version or position from which to read, from 1.</summary>
    public long From(string name) => Whole(name, 1, long.MaxValue, 1);

    /// <summary>The position that the answer must know of; 0 for any.</summary>
    public long MinPosition() => Whole("min_position", 0, long.MaxValue, 0);

    public string? OwnerName(string name) => Text(name) is { } text ? _errors.OwnerName(name, text) : null;

    public AccountId? Account(string name) => Text(name) is { } text ? _errors.Account(name, text) : null;

    public string? OneOf(string name, params ReadOnlySpan<string> values)
    {
        var text = Text(name);
        if (text is not null && !values.Contains(text))
            _errors.Add(name, $"must be {string.Join(" or ", values.ToArray())}");
        return text;
    }

    /// <summary>Where the page before ended; whether the list gave it is for the list to say.</summary>
    public string? Cursor() => Text("cursor");

    /// <summary>A time of RFC 3339, with its offset.</summary>
    public DateTimeOffset? Time(string name)
    {
        if (Text(name) is not { } text)
            return null;
        // "+" is a space where a client has not escaped it.
        if (DateTimeOffset.TryParseExact(
            text.Replace(' ', '+'), TimeForms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            return time;
        _errors.Add(name, "must be a time such as 2026-03-15T09:30:00Z");
        return null;
    }

    public DateOnly? Day(string name)
    {
        if (Text(name) is not { } text)
            return null;
        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            return day;
        _errors.Add(name, "must be a day such as 2026-03-15");
        return null;
    }

    public Currency? Currency(string name) =>
        Text(name) is { } text && _errors.Currency(name, text) is { } code && Domain.Currency.TryParse(code, out var currency)
            ? currency
            : null;

    private long Whole(string name, long min, long max, long otherwise)
    {
        if (Text(name) is not { } text)
            return otherwise;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max)
            return value;
        _errors.Add(name, $"must be a whole number, {min} to {max}");
        return otherwise;
    }

    private string? Text(string name) => _query.TryGetValue(name, out var values) ? values[0] : null;
}
