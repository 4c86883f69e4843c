package cost

import (
	"regexp"
	"slices"
	"strconv"
)

// counted has the function that lists what Azure counts of a resource, by its type without the
// version of its API.
var counted = map[string]func(c *count, in inputs){
	"azure-native:containerservice:ManagedCluster": cluster,
	"azure-native:containerservice:AgentPool":      pool,
	"azure-native:dbforpostgresql:Server":          database,
	"azure-native:network:ApplicationGateway":      gateway,
	"azure-native:network:PublicIPAddress":         publicAddress,
	"azure-native:network:NatGateway":              natGateway,
	"azure-native:network:PrivateEndpoint":         privateEndpoint,
	"azure-native:network:PrivateZone":             func(c *count, _ inputs) { c.of("dns/Private", Exactly(1)) },
	"azure-native:network:VirtualNetworkPeering":   func(c *count, _ inputs) { c.unpriced("peering/VirtualNetwork data") },
	"azure-native:containerregistry:Registry":      registry,
	"azure-native:keyvault:Vault":                  vault,
	"azure-native:operationalinsights:Workspace":   workspace,
	"azure-native:insights:ActionGroup":            func(*count, inputs) {}, // see docs/cost.md, What is assumed
	"azure-native:insights:DataCollectionRule":     func(*count, inputs) {}, // what it sends is counted with the workspace that it goes to
	"azure-native:insights:MetricAlert":            metricAlert,
}

// cluster is the control plane, the pools that are registered with it, and the load balancers and
// the address that AKS makes: one balancer for what is internal, and another with an address if it
// is the way out. Up to five rules of a balancer cost the same.
func cluster(c *count, in inputs) {
	switch tier := in.text("sku", "tier"); tier {
	case "":
		c.unpriced("kubernetes/tier")
	case "Free":
		c.of("kubernetes/Free", Range{0, hoursPerMonth})
	default:
		c.of("kubernetes/"+tier, Exactly(hoursPerMonth))
	}
	for _, profile := range in.list("agentPoolProfiles") {
		pool(c, profile)
	}
	balancers := 0.0
	for _, ingress := range in.list("serviceMeshProfile", "istio", "components", "ingressGateways") {
		if ingress.is(true, "enabled") {
			balancers = 1
		}
	}
	if in.is("loadBalancer", "networkProfile", "outboundType") {
		balancers++
		addresses, ok := in.number("networkProfile", "loadBalancerProfile", "managedOutboundIPs", "count")
		if !ok {
			addresses = 1 // of AKS itself (azure-aks-docs, load-balancer-standard.md)
		}
		c.of("address/Standard", Exactly(addresses*hoursPerMonth))
		c.of("balancer/Standard data", c.book.Assumptions.EgressGB.Range)
		c.of("egress/Internet", c.book.Assumptions.EgressGB.Range)
	}
	c.of("balancer/Standard", Exactly(balancers*hoursPerMonth))
}

// pool is nodes with their disks. An ephemeral disk is a part of the machine.
func pool(c *count, in inputs) {
	nodes, ok := nodesOf(in)
	size := in.text("vmSize")
	if !ok || size == "" {
		c.unpriced("machine/size or number of nodes")
		return
	}
	c.of("machine/"+size, nodes.Times(hoursPerMonth))
	if c.watched {
		if cores, ok := coresOf(size); ok {
			c.of("defender/containers", nodes.Times(cores))
		} else {
			c.unpriced("defender/containers of " + size)
		}
	}
	if gigabytes, ok := in.number("osDiskSizeGB"); in.text("osDiskType") != "Ephemeral" {
		c.of(diskOf(gigabytes, ok), nodes)
	}
}

func nodesOf(in inputs) (Range, bool) {
	if in.is(true, "enableAutoScaling") {
		least, some := in.number("minCount")
		most, all := in.number("maxCount")
		return Range{least, most}, some && all
	}
	nodes, ok := in.number("count")
	return Exactly(nodes), ok
}

// series are names of sizes that have the number of processors in them: Standard_D4ds_v5. Those of
// the second version and before count sizes instead.
var series = regexp.MustCompile(`^Standard_([A-Z]+)(\d+)([a-z]*)(?:_v([3-9]))?$`)

// coresOf is the number of processors of a size.
func coresOf(size string) (float64, bool) {
	parts := series.FindStringSubmatch(size)
	if parts == nil || parts[4] == "" && parts[1] != "B" {
		return 0, false
	}
	cores, err := strconv.Atoi(parts[2])
	return float64(cores), err == nil
}

// diskOf is the meter of a managed premium disk: Azure sells them in sizes, and takes the next one.
func diskOf(gigabytes float64, known bool) string {
	if !known {
		return "disk/size"
	}
	for _, size := range []struct {
		name      string
		gigabytes float64
	}{{"P4", 32}, {"P6", 64}, {"P10", 128}, {"P15", 256}, {"P20", 512}, {"P30", 1024}, {"P40", 2048}} {
		if gigabytes <= size.gigabytes {
			return "disk/" + size.name
		}
	}
	return "disk/larger than P40"
}

// database is the server, its storage and the backups that are larger than it. A standby server
// costs what the first one does.
func database(c *count, in inputs) {
	servers := 1.0
	if mode := in.text("highAvailability", "mode"); mode == "ZoneRedundant" || mode == "SameZone" {
		servers = 2
	}
	size := in.text("sku", "name")
	if parts := series.FindStringSubmatch(size); parts != nil && parts[1] != "B" && parts[4] != "" {
		cores, _ := coresOf(size)
		c.of("postgresql/"+parts[1]+parts[3]+"v"+parts[4], Exactly(servers*cores*hoursPerMonth))
	} else {
		c.of("postgresql/"+size, Exactly(servers*hoursPerMonth))
	}
	storage, ok := in.number("storage", "storageSizeGB")
	if !ok {
		c.unpriced("postgresql/storage of the default size")
		return
	}
	c.of("postgresql/storage", Exactly(servers*storage))
	c.backup(in, storage)
}

// backup is what is kept beyond the size of the storage, which is free: "((2 x local backup size) -
// provisioned storage size)" if the backups are geo-redundant. The first snapshot is full, and
// those after it differ by what changed (MicrosoftDocs/azure-databases-docs,
// articles/postgresql/backup-restore/concepts-backup-restore.md of 28 November 2024).
func (c *count) backup(in inputs, storage float64) {
	days, ok := in.number("backup", "backupRetentionDays")
	if !ok {
		c.unpriced("postgresql/backup of the default retention")
		return
	}
	copies := 1.0
	if in.is("Enabled", "backup", "geoRedundantBackup") {
		copies = 2
	}
	local := storage * (1 + c.book.Assumptions.DatabaseChange.High*days)
	c.of("postgresql/backup", Range{0, max(0, copies*local-storage)})
}

// gateway has a fixed price and a price by capacity units. Each instance of the autoscaling has ten
// units, and the least number of instances is reserved and paid for (MicrosoftDocs/azure-docs,
// application-gateway/understanding-pricing.md of 3 October 2022).
func gateway(c *count, in inputs) {
	const unitsPerInstance = 10
	tier := in.text("sku", "tier")
	c.of("gateway/"+tier, Exactly(hoursPerMonth))
	var instances Range
	least, some := in.number("autoscaleConfiguration", "minCapacity")
	most, all := in.number("autoscaleConfiguration", "maxCapacity")
	fixed, ok := in.number("sku", "capacity")
	switch {
	case ok:
		instances = Exactly(fixed)
	case some && all:
		instances = Range{least, most}
	default:
		c.unpriced("gateway/capacity")
		return
	}
	c.of("gateway/"+tier+" capacity", instances.Times(unitsPerInstance*hoursPerMonth))
}

func publicAddress(c *count, in inputs) {
	c.of("address/"+in.text("sku", "name"), Exactly(hoursPerMonth))
}

func natGateway(c *count, in inputs) {
	name := "nat/" + in.text("sku", "name")
	c.of(name, Exactly(hoursPerMonth))
	c.of(name+" data", c.book.Assumptions.EgressGB.Range)
	c.of("egress/Internet", c.book.Assumptions.EgressGB.Range)
}

func privateEndpoint(c *count, _ inputs) {
	c.of("endpoint/Private", Exactly(hoursPerMonth))
	c.of("endpoint/Private data", c.book.Assumptions.EndpointGB.Range)
}

func registry(c *count, in inputs) {
	c.of("registry/"+in.text("sku", "name"), Exactly(daysPerMonth))
}

func vault(c *count, in inputs) {
	const perUnit = 10_000
	c.of("vault/"+in.text("properties", "sku", "name"), c.book.Assumptions.VaultOperations.Times(1.0/perUnit))
}

// workspace is the incoming data, up to the daily cap if there is one, and the data that is kept
// longer than the 31 days that are free (azure-docs, azure-monitor/logs/cost-logs.md).
func workspace(c *count, in inputs) {
	const freeDays = 31
	name := "logs/" + in.text("sku", "name")
	perDay := c.book.Assumptions.LogsGBPerDay.Range
	if quota, ok := in.number("workspaceCapping", "dailyQuotaGb"); ok && quota >= 0 {
		perDay = Range{min(perDay.Low, quota), quota}
	}
	c.of(name, perDay.Times(daysPerMonth))
	days, ok := in.number("retentionInDays")
	if !ok {
		c.unpriced(name + " retention of the default days")
		return
	}
	c.of(name+" retention", perDay.Times(max(0, days-freeDays)))
}

// metricAlert is the series that it watches: one for each combination of values of the dimensions
// that it names (azure-monitor-docs, alerts-create-metric-alert-rule.md of 9 July 2025).
func metricAlert(c *count, in inputs) {
	const meter = "alert/Metric"
	for _, criterion := range in.list("criteria", "allOf") {
		series := 1
		for _, dimension := range criterion.list("dimensions") {
			values := dimension.texts("values")
			if len(values) == 0 || dimension.is("Exclude", "operator") || slices.Contains(values, "*") {
				c.unpriced(meter + " of all values of a dimension")
				return
			}
			series *= len(values)
		}
		c.of(meter, Exactly(float64(series)))
	}
}
