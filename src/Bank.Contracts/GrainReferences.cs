using Orleans.Runtime;

namespace Bank.Contracts;

/// <summary>
/// References to grains of one interface, for who needs many of them: <see cref="IGrainFactory"/> reads the attributes of the interface by
/// reflection for each one, which was a tenth of what a transfer costs.
/// </summary>
public sealed class GrainReferences<T>(IGrainFactory grains)
    where T : IGrainWithGuidKey
{
    private readonly GrainReference _any = (GrainReference)(object)grains.GetGrain<T>(Guid.Empty);

    public T Of(Guid key) =>
        (T)grains.GetGrain(GrainId.Create(_any.GrainId.Type, GrainIdKeyExtensions.CreateGuidKey(key)), _any.InterfaceType);
}
