namespace Orleans.EventSourcing.Postgres;

internal static class TimeProviderExtensions
{
    extension(TimeProvider time)
    {
        /// <summary>A span in the units of <see cref="TimeProvider.GetTimestamp"/>.</summary>
        public long ToTimestamp(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
    }
}
