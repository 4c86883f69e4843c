package cost_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cost"
)

const (
	kubernetes = "azure-native:containerservice/v20240901:ManagedCluster"
	nodePool   = "azure-native:containerservice/v20240901:AgentPool"
	postgresql = "azure-native:dbforpostgresql/v20240801:Server"
	appGateway = "azure-native:network/v20240501:ApplicationGateway"
	address    = "azure-native:network/v20240501:PublicIPAddress"
	nat        = "azure-native:network/v20240501:NatGateway"
	endpoint   = "azure-native:network/v20240501:PrivateEndpoint"
	images     = "azure-native:containerregistry/v20230701:Registry"
	logs       = "azure-native:operationalinsights/v20230901:Workspace"
	alert      = "azure-native:insights/v20180301:MetricAlert"
)

type object = map[string]any

func one(kind string, inputs object) []cost.Resource {
	inputs["location"] = "francecentral"
	return []cost.Resource{{URN: kind, Type: kind, Inputs: inputs}}
}

func nodes(size string, least, most float64) object {
	return object{
		"vmSize": size, "enableAutoScaling": true, "count": least, "minCount": least, "maxCount": most,
		"osDiskType": "Ephemeral", "osDiskSizeGB": 128.0,
	}
}

func server(size, availability string, storage, days float64, geo string) object {
	return object{
		"sku": object{"name": size}, "highAvailability": object{"mode": availability}, "storage": object{"storageSizeGB": storage},
		"backup": object{"backupRetentionDays": days, "geoRedundantBackup": geo},
	}
}

func capacity(least, most float64) object {
	return object{
		"sku": object{"name": "WAF_v2", "tier": "WAF_v2"}, "autoscaleConfiguration": object{"minCapacity": least, "maxCapacity": most},
	}
}

func workspace(days, quota float64) object {
	return object{
		"sku": object{"name": "PerGB2018"}, "retentionInDays": days, "workspaceCapping": object{"dailyQuotaGb": quota},
	}
}

// on is an alert on a metric, of so many values of a dimension; none is without the dimension.
func on(values ...any) object {
	criterion := object{"metricName": "m"}
	if len(values) > 0 {
		criterion["dimensions"] = []any{object{"name": "d", "operator": "Include", "values": values}}
	}
	return object{"criteria": object{"allOf": []any{criterion}}}
}

func sku(name string) object { return object{"sku": object{"name": name}} }

// The expected amounts are units × hours × price, written out by hand. The prices are public, with
// their days, and not the book's:
//
//   - machines in France Central, 18 June 2026: Azure/karpenter-provider-azure,
//     zz_generated.pricing.go
//   - PostgreSQL D2ds_v5 in West US $148.19 a month, storage $0.138 and backups $0.095 a GB, 4 July
//     2025; a node's P10 disk $19.71, 30 August 2024; ingestion $2.99 and retention $0.13 a GB in
//     West Europe, 30 August 2024; private endpoint $7.30 a month and NAT gateway $32.85, 1 July
//     2024; public address $3.65, 3 April 2026; Defender $6.87 a vCore, 5 December 2024:
//     infracost's golden files
//   - PostgreSQL B2s $49.64 a month in East US 2, 3 October 2026: a worksheet from the retail price
//     API (source portfolio of the book)
//   - Application Gateway WAF v2, $0.0144 a capacity unit and hour, ten units an instance, 3
//     October 2022: Microsoft
//   - AKS $0.10 an hour in the tier Standard and $0.05 for the meter of the free one, 1 October
//     2026, and a load balancer $0.025 an hour: answers of the retail price API
//   - an alert $0.10 a series, 1 July 2024: infracost's golden files
//   - registry $0.6666 and $1.6666 a day, 23 September 2026: a table from the retail price API
func TestUnit_ReferenceChangesCostWhatIsWorkedOutByHand(t *testing.T) {
	t.Parallel()
	book, err := cost.Shipped()
	require.NoError(t, err)
	const month = 730
	for _, test := range []struct {
		name          string
		before, after []cost.Resource
		least, most   float64
	}{
		{
			"node size: 3 to 10 nodes, $0.264 to $0.528 an hour",
			one(nodePool, nodes("Standard_D4ds_v5", 3, 10)), one(nodePool, nodes("Standard_D8ds_v5", 3, 10)),
			3 * month * (0.528 - 0.264), 10 * month * (0.528 - 0.264),
		},
		{
			"node count: 3 to 5 at least, 5 to 7 at most",
			one(nodePool, nodes("Standard_D4ds_v5", 3, 5)), one(nodePool, nodes("Standard_D4ds_v5", 5, 7)),
			2 * month * 0.264, 2 * month * 0.264,
		},
		{
			"two more nodes at most",
			one(nodePool, nodes("Standard_D8ds_v5", 3, 10)), one(nodePool, nodes("Standard_D8ds_v5", 3, 12)),
			0, 2 * month * 0.528,
		},
		{
			"managed disks of 3 nodes instead of ephemeral ones",
			one(nodePool, nodes("Standard_D4ds_v5", 3, 3)),
			one(nodePool, object{
				"vmSize": "Standard_D4ds_v5", "count": 3.0, "osDiskType": "Managed", "osDiskSizeGB": 128.0,
			}),
			3 * 19.71, 3 * 19.71,
		},
		{
			"PostgreSQL tier: B2s to D2ds_v5",
			one(postgresql, server("Standard_B2s", "Disabled", 32, 7, "Disabled")),
			one(postgresql, server("Standard_D2ds_v5", "Disabled", 32, 7, "Disabled")),
			148.19 - 49.64, 148.19 - 49.64,
		},
		{
			"PostgreSQL high availability: a second D4ds_v5, twice D2ds_v5, and 256 GB",
			one(postgresql, server("Standard_D4ds_v5", "Disabled", 256, 7, "Disabled")),
			one(postgresql, server("Standard_D4ds_v5", "ZoneRedundant", 256, 7, "Disabled")),
			2*148.19 + 256*0.138, 2*148.19 + 256*0.138,
		},
		{
			"PostgreSQL storage: 192 GB more, of which 7 × 2 % change",
			one(postgresql, server("Standard_D2ds_v5", "Disabled", 64, 7, "Disabled")),
			one(postgresql, server("Standard_D2ds_v5", "Disabled", 256, 7, "Disabled")),
			192 * 0.138, 192*0.138 + 192*0.14*0.095,
		},
		{
			"PostgreSQL backups in another region: 2 × 435.2 - 256 GB instead of 435.2 - 256",
			one(postgresql, server("Standard_D2ds_v5", "Disabled", 256, 35, "Disabled")),
			one(postgresql, server("Standard_D2ds_v5", "Disabled", 256, 35, "Enabled")),
			0, (614.4 - 179.2) * 0.095,
		},
		{
			"gateway capacity: an instance more at least, eight more at most",
			one(appGateway, capacity(1, 2)), one(appGateway, capacity(2, 10)),
			1 * 10 * month * 0.0144, 8 * 10 * month * 0.0144,
		},
		{
			"registry: Standard to Premium for 30 days",
			one(images, sku("Standard")), one(images, sku("Premium")),
			30 * (1.6666 - 0.6666), 30 * (1.6666 - 0.6666),
		},
		{
			"log retention: 59 days that are paid for, of 1 to 5 GB",
			one(logs, workspace(30, 5)), one(logs, workspace(90, 5)),
			59 * 1 * 0.13, 59 * 5 * 0.13,
		},
		{
			"daily cap of logs: 2 to 5 GB",
			one(logs, workspace(30, 2)), one(logs, workspace(30, 5)),
			0, 30 * 3 * 2.99,
		},
		{
			"AKS: Free to Standard",
			one(kubernetes, object{"sku": object{"tier": "Free"}}), one(kubernetes, object{"sku": object{"tier": "Standard"}}),
			month * (0.10 - 0.05), month * 0.10,
		},
		{
			"way out: AKS' load balancer and address to a NAT gateway with two addresses, 0 to 100 GB",
			one(kubernetes, object{"sku": object{"tier": "Standard"}, "networkProfile": object{"outboundType": "loadBalancer"}}),
			append(append(append(
				one(kubernetes, object{"sku": object{"tier": "Standard"}, "networkProfile": object{"outboundType": "userAssignedNATGateway"}}),
				one(nat, sku("Standard"))...), one(address, sku("Standard"))...), one(address, sku("Standard"))...),
			32.85 + 2*3.65 - month*0.025 - 3.65, 32.85 + 2*3.65 + 100*0.045 - month*0.025 - 3.65 - 100*0.005,
		},
		{
			"an alert of one series, and one of two instead",
			one(alert, on()), one(alert, on("system", "user")),
			0.10, 0.10,
		},
		{
			"a private endpoint, 0 to 100 GB",
			nil, one(endpoint, object{}),
			7.30, 7.30 + 100*0.01,
		},
		{
			"Defender: 3 to 6 nodes of 4 processors, and 3 to 10 of 8",
			append(one(kubernetes, object{
				"sku": object{"tier": "Standard"}, "agentPoolProfiles": []any{nodes("Standard_D4ds_v5", 3, 6)},
			}), one(nodePool, nodes("Standard_D8ds_v5", 3, 10))...),
			append(one(kubernetes, object{
				"sku": object{"tier": "Standard"}, "agentPoolProfiles": []any{nodes("Standard_D4ds_v5", 3, 6)},
				"securityProfile": object{"defender": object{"securityMonitoring": object{"enabled": true}}},
			}), one(nodePool, nodes("Standard_D8ds_v5", 3, 10))...),
			(3*4 + 3*8) * 6.87, (6*4 + 10*8) * 6.87,
		},
	} {
		sum := func(resources []cost.Resource) (all cost.Range) {
			for _, e := range book.Estimates(resources) {
				all = all.Plus(e.Month())
			}
			return all
		}
		got := sum(test.after).Minus(sum(test.before))
		within(t, test.least, got.Low, test.name+", at least")
		within(t, test.most, got.High, test.name+", at most")
	}
}

// within allows one part in a hundred.
func within(t *testing.T, want, got float64, name string) {
	t.Helper()
	if want == 0 {
		assert.InDelta(t, 0, got, 0.005, name)
		return
	}
	assert.InEpsilon(t, want, got, 0.01, name)
}
