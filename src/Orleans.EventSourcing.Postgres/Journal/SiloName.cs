using Orleans.Runtime;

namespace Orleans.EventSourcing.Postgres;

/// <summary>Names of silos in the journal.</summary>
public static class SiloName
{
    /// <summary>Unique for ever: the cluster, and the silo's address with its generation.</summary>
    public static string Of(string clusterId, SiloAddress address) => $"{clusterId}/{address.ToParsableString()}";

    /// <summary>What the names of all silos that ever had this endpoint in the cluster begin with.</summary>
    internal static string EndpointOf(string clusterId, SiloAddress address) => $"{clusterId}/{address.Endpoint}@";
}
