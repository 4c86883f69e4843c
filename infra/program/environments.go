package program

import (
	"time"

	"github.com/gridos/sharedinfra/infra/cluster"
	"github.com/gridos/sharedinfra/infra/database"
	"github.com/gridos/sharedinfra/infra/gateway"
	"github.com/gridos/sharedinfra/infra/monitoring"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/registry"
	"github.com/gridos/sharedinfra/infra/vault"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
)

// Defaults is what an environment is unless its stack file says otherwise. dev is small, cheap and
// free to be destroyed; test has production's shape at a fraction of its size; prod is redundant
// over three zones, private, and refuses to be destroyed.
func Defaults(environment string) Settings {
	switch environment {
	case "test":
		return test()
	case "prod":
		return prod()
	default:
		return dev()
	}
}

func dev() Settings {
	zones := []string{"1", "2", "3"}
	return Settings{
		// A region where Azure offers all that prod needs: zones, a zone-redundant PostgreSQL
		// server, and a paired region with PostgreSQL, for its backups. West Europe, North Europe
		// and Germany West Central block such servers, and Sweden Central's pair, Sweden South,
		// offers no PostgreSQL (azure-databases-docs, articles/postgresql/includes/regions-table.md
		// of 22 December 2025). dev and test are there too, so that they have the same quotas and
		// machines as prod.
		Location:    "francecentral",
		Owner:       "platform",
		CostCentre:  "gridos",
		Propagation: 30 * time.Second,
		PodSecurity: podSecurityDisabled,
		Ranges: network.Settings{
			AddressSpace: "10.10.0.0/16",
			Pods:         "10.244.0.0/16",
			Services:     "10.96.0.0/16",
		},
		Egress: network.EgressSettings{Way: network.LoadBalancer, Addresses: 1},
		Cluster: cluster.Settings{
			KubernetesVersion:    "1.35",
			UpgradeChannel:       "patch",
			NodeOSUpgradeChannel: "NodeImage",
			IstioRevisions:       []string{versions.IstioRevision()},
			Maintenance: cluster.Maintenance{
				Start: "02:00", Hours: 4, ReleaseDay: "Monday", NodeImageDay: "Monday", KubernetesDay: "Tuesday",
			},
			Tier: "Free",
			// Microsoft supports system pools of at least two nodes with four processors (azure-aks-docs,
			// use-system-pools).
			SystemPool:        cluster.Pool{VMSize: "Standard_D4ds_v5", Min: 2, Max: 3},
			SystemPoolName:    "system",
			Disk:              cluster.Disk{Type: "Ephemeral", SizeGB: 128},
			NodeGroupLockdown: true,
			UserPool:          cluster.Pool{VMSize: "Standard_D4ds_v5", Min: 1, Max: 3},
			MaxPods:           110,
			Zones:             zones,
			LoginMode:         "azurecli",
		},
		Registry: registry.Settings{SKU: "Standard"},
		Vault:    vault.Settings{SoftDeleteDays: 7, IngestSenders: []string{"gateways"}},
		Database: database.Settings{
			Version:          "16",
			SKUTier:          "Burstable",
			SKUName:          "Standard_B2s",
			StorageGB:        32,
			Maintenance:      database.Maintenance{Start: "02:00"},
			BackupDays:       7,
			HighAvailability: "Disabled",
			AdminLogin:       "gridosadmin",
		},
		Gateway: gateway.Settings{
			MinCapacity: 1, MaxCapacity: 2,
			Certificate: gateway.Certificate{ResourceGroup: "gridos-platform-rg"},
			// The application accepts bodies of 1 MiB; the firewall lets a little more through, so
			// that the application itself answers what is wrong.
			Firewall: gateway.Firewall{MaxBodyKB: 1100, RequestsPerMinute: 3000},
		},
		Monitoring: monitoring.Settings{
			RetentionDays: 30, DailyCapGB: 2,
			PodNamespaces: []string{
				naming.NamespaceIstioIngress, naming.NamespaceArgoRollouts, naming.NamespaceArgoCD, naming.NamespaceExternalSecrets,
				naming.NamespaceGridOS, naming.NamespaceMonitoring,
			},
		},
	}
}

func test() Settings {
	s := dev()
	s.Protect = true
	s.PodSecurity = podSecurityAudit
	s.Ranges.AddressSpace = "10.20.0.0/16"
	s.Egress.Way = network.NATGateway
	s.Cluster.Tier = "Standard"
	s.Cluster.Maintenance.ReleaseDay, s.Cluster.Maintenance.NodeImageDay = "Wednesday", "Wednesday"
	s.Cluster.Maintenance.KubernetesDay = "Thursday"
	s.Cluster.AzurePolicy = true
	s.Cluster.SystemPool.Max = 4
	s.Cluster.EncryptionAtHost = true
	s.Cluster.UserPool.Min, s.Cluster.UserPool.Max = 2, 5
	s.Database.SKUTier, s.Database.SKUName = "GeneralPurpose", "Standard_D2ds_v5"
	s.Database.StorageGB = 64
	s.Database.AutoGrow = true
	s.Database.BackupDays = 14
	s.Gateway.MaxCapacity = 3
	s.Gateway.Zones = []string{"1", "2", "3"}
	s.Monitoring.DailyCapGB = 5
	return s
}

func prod() Settings {
	s := test()
	s.Ranges.AddressSpace = "10.30.0.0/16"
	s.Egress.Addresses = 2
	s.Cluster.Private = true
	// A window must be long enough to replace every node, one or two at a time.
	s.Cluster.Maintenance = cluster.Maintenance{
		Start: "01:00", Hours: 8, ReleaseDay: "Saturday", NodeImageDay: "Saturday", KubernetesDay: "Sunday",
	}
	s.Cluster.Defender = true
	// A node in each zone, and room for another one there.
	s.Cluster.SystemPool = cluster.Pool{VMSize: "Standard_D4ds_v5", Min: 3, Max: 6}
	// The private DNS zone of the API server is in AKS' resource group, and operators link their
	// network to it first.
	s.Cluster.NodeGroupLockdown = false
	s.Cluster.UserPool = cluster.Pool{VMSize: "Standard_D8ds_v5", Min: 3, Max: 10}
	s.Registry = registry.Settings{SKU: "Premium", ZoneRedundant: true, Private: true, UntaggedDays: 30}
	s.Vault = vault.Settings{PurgeProtection: true, SoftDeleteDays: 90, Private: true, IngestSenders: s.Vault.IngestSenders}
	s.Database.SKUName = "Standard_D4ds_v5"
	s.Database.StorageGB = 256
	s.Database.BackupDays = 35
	s.Database.GeoRedundantBackup = true
	s.Database.HighAvailability = "ZoneRedundant"
	s.Gateway.MinCapacity, s.Gateway.MaxCapacity = 2, 10
	s.Monitoring.RetentionDays = 90
	s.Monitoring.DailyCapGB = 0 // an attack must not end its own record
	s.DeleteLock = true
	return s
}
