using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Bank.Domain;

/// <summary>
/// What a command said: the first 16 bytes of a SHA-256 over its kind and everything that the client sent and an event records, in one
/// canonical form. Two commands of one id are the same command if their hashes are equal.
/// </summary>
/// <remarks>
/// Nothing that the server made up counts, nor the digits in which an amount was written. The form is the kind and then each field, in
/// UTF-8, each after its length in bytes (32 bits, big-endian): stored hashes are compared for ever, so neither may change.
/// </remarks>
public static class CommandHash
{
    public const int Size = 16;

    public static byte[] Of(AccountCommand command) => command switch
    {
        OpenAccount c => Of("open", c.OwnerName, c.Currency.Code, Text(c.InitialDeposit)),
        Deposit c => Of("deposit", Text(c.Amount), c.Description),
        Withdraw c => Of("withdraw", Text(c.Amount), c.Description),
        CloseAccount c => Of("close", c.Reason),
        SendTransfer c => Of("send", c.TransferId.ToString(), c.To.ToString(), Text(c.Amount), c.Description),
        ReceiveTransfer c => Of("receive", c.TransferId.ToString(), c.From.ToString(), Text(c.Amount), c.Description),
        ReturnTransfer c => Of("return", c.TransferId.ToString(), c.From.ToString(), Text(c.Amount), c.Description),
        _ => throw new UnreachableException($"{command.GetType()} has no hash"),
    };

    public static byte[] Of(RequestTransfer command) =>
        Of("transfer", command.To.ToString(), Text(command.Amount), command.Description);

    /// <summary>Of a step that a transfer records in its own stream: the event is all that there is to say.</summary>
    public static byte[] Of(TransferEvent step) => step switch
    {
        TransferRejected e => Of("rejected", e.Reason.Code()),
        ReturnDecided e => Of("return_decided", e.Reason.Code()),
        TransferFailed e => Of("failed", e.Reason.Code()),
        TransferCompleted => Of("completed"),
        _ => throw new UnreachableException($"{step.GetType()} follows from a command, which has the hash"),
    };

    private static string Text(Money amount) => amount.Normalized().ToString();

    private static byte[] Of(params ReadOnlySpan<string> kindAndFields)
    {
        var length = 0;
        foreach (var field in kindAndFields)
            length += sizeof(int) + Encoding.UTF8.GetByteCount(field);
        Span<byte> canonical = length <= 512 ? stackalloc byte[length] : new byte[length];
        var rest = canonical;
        foreach (var field in kindAndFields)
        {
            var bytes = Encoding.UTF8.GetBytes(field, rest[sizeof(int)..]);
            BinaryPrimitives.WriteInt32BigEndian(rest, bytes);
            rest = rest[(sizeof(int) + bytes)..];
        }
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(canonical, hash);
        return hash[..Size].ToArray();
    }
}
