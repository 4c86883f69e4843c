package enginetest

import (
	"testing"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const elsewhere = pulumi.String("northeurope")

// change is a change of the environment, with the expected messages of a preview about it.
type change struct {
	// resource is the resource that changes, and property is its changed property.
	resource, property string
	make               func(e *environment)
	want               apitype.OpType
}

func replaces(resource, property string, make func(*environment)) change {
	return change{resource, property, make, apitype.OpReplace}
}

func updates(resource, property string, make func(*environment)) change {
	return change{resource, property, make, apitype.OpUpdate}
}

// TestEngine_Replacement shows which changes make azure-native replace a resource, and which do
// not. A replacement loses the resource's content. docs/azure-rules.md has the list.
func TestEngine_Replacement(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program(everything()...)).accepted()
	for _, c := range changes() {
		t.Run(c.resource+" "+c.property, func(t *testing.T) {
			t.Parallel()
			e := valid()
			c.make(e)
			preview := l.copied(t).preview(e.program(everything()...)).accepted()
			assert.Equal(t, c.want, preview.ops[c.resource], "%v", preview.ops)
			if c.want == apitype.OpUpdate {
				assert.NotContains(t, preview.summary, apitype.OpReplace)
			} else {
				assert.Positive(t, preview.summary[apitype.OpReplace])
			}
		})
	}
}

// text is a new value for a property that takes any.
const text = pulumi.String("other")

func changes() []change {
	return []change{
		replaces("group", "location", func(e *environment) { e.group.Location = elsewhere }),
		replaces("group", "resourceGroupName", func(e *environment) { e.group.ResourceGroupName = text }),
		updates("group", "tags", func(e *environment) { e.group.Tags = pulumi.ToStringMap(map[string]string{"owner": "platform"}) }),

		replaces("network", "location", func(e *environment) { e.network.Location = elsewhere }),
		replaces("network", "virtualNetworkName", func(e *environment) { e.network.VirtualNetworkName = text }),
		replaces("network", "resourceGroupName", func(e *environment) { e.network.ResourceGroupName = text }),
		updates("network", "addressSpace", func(e *environment) {
			e.space.AddressPrefixes = pulumi.ToStringArray([]string{"10.10.0.0/16", "10.20.0.0/16"})
		}),
		replaces("nodes", "subnetName", func(e *environment) { e.nodes.SubnetName = text }),
		replaces("appgw-nsg", "location", func(e *environment) { e.appgwNSG.Location = elsewhere }),
		replaces("address", "location", func(e *environment) { e.address.Location = elsewhere }),
		replaces("address", "sku", func(e *environment) {
			e.address.Sku = network.PublicIPAddressSkuArgs{Name: pulumi.String("Standard"), Tier: pulumi.String("Global")}
		}),
		replaces("address", "publicIPAddressVersion", func(e *environment) { e.address.PublicIPAddressVersion = pulumi.String("IPv6") }),
		replaces("address", "publicIPPrefix", func(e *environment) {
			e.address.PublicIPPrefix = network.SubResourceArgs{Id: pulumi.String(groupID + "/providers/Microsoft.Network/publicIPPrefixes/p")}
		}),
		replaces("gateway", "location", func(e *environment) { e.gateway.Location = elsewhere }),
		replaces("policy", "location", func(e *environment) { e.policy.Location = elsewhere }),
		replaces("vault-endpoint", "location", func(e *environment) { e.endpoint.Location = elsewhere }),
		replaces("link", "virtualNetwork", func(e *environment) {
			e.link.VirtualNetwork = dns.SubResourceArgs{Id: pulumi.String(networkID + "-2")}
		}),

		replaces("cluster", "resourceName", func(e *environment) { e.cluster.ResourceName = text }),
		replaces("cluster", "location", func(e *environment) { e.cluster.Location = elsewhere }),
		replaces("cluster", "dnsPrefix", func(e *environment) { e.cluster.DnsPrefix = text }),
		replaces("cluster", "fqdnSubdomain", func(e *environment) { e.cluster.FqdnSubdomain = text }),
		replaces("cluster", "nodeResourceGroup", func(e *environment) { e.cluster.NodeResourceGroup = text }),
		replaces("cluster", "diskEncryptionSetID", func(e *environment) {
			e.cluster.DiskEncryptionSetID = pulumi.String(groupID + "/providers/Microsoft.Compute/diskEncryptionSets/d")
		}),
		replaces("cluster", "linuxProfile", func(e *environment) {
			e.cluster.LinuxProfile = containerservice.ContainerServiceLinuxProfileArgs{
				AdminUsername: pulumi.String("azureuser"), Ssh: containerservice.ContainerServiceSshConfigurationArgs{
					PublicKeys: containerservice.ContainerServiceSshPublicKeyArray{
						containerservice.ContainerServiceSshPublicKeyArgs{KeyData: pulumi.String("ssh-rsa AAAA")},
					},
				},
			}
		}),
		replaces("cluster", "windowsProfile", func(e *environment) {
			e.cluster.WindowsProfile = containerservice.ManagedClusterWindowsProfileArgs{AdminUsername: pulumi.String("azureuser")}
		}),
		replaces("cluster", "networkProfile.podCidr", func(e *environment) { e.clusterNetwork.PodCidr = pulumi.String("10.240.0.0/16") }),
		replaces("cluster", "networkProfile.networkPolicy", func(e *environment) { e.clusterNetwork.NetworkPolicy = pulumi.String("cilium") }),
		updates("cluster", "kubernetesVersion", func(e *environment) { e.cluster.KubernetesVersion = pulumi.String("1.36") }),
		updates("cluster", "agentPoolProfiles.maxCount", func(e *environment) { e.systemPool.MaxCount = pulumi.Int(5) }),
		replaces("pool", "vmSize", func(e *environment) { e.pool.VmSize = pulumi.String("Standard_D8s_v5") }),
		replaces("pool", "gpuInstanceProfile", func(e *environment) { e.pool.GpuInstanceProfile = pulumi.String("MIG1g") }),
		updates("pool", "count", func(e *environment) { e.pool.Count = pulumi.Int(3) }),

		replaces("identity", "location", func(e *environment) { e.identity.Location = elsewhere }),
		replaces("secrets-role", "principalId", func(e *environment) { e.secretsRole.PrincipalId = pulumi.String(administratorName) }),
		replaces("secrets-role", "scope", func(e *environment) { e.secretsRole.Scope = pulumi.String(groupID) }),
		replaces("credential", "federatedIdentityCredentialResourceName", func(e *environment) {
			e.credential.FederatedIdentityCredentialResourceName = text
		}),

		replaces("vault", "location", func(e *environment) { e.vault.Location = elsewhere }),
		replaces("vault", "vaultName", func(e *environment) { e.vault.VaultName = text }),
		replaces("secret", "secretName", func(e *environment) { e.secret.SecretName = text }),
		replaces("registry", "location", func(e *environment) { e.registry.Location = elsewhere }),
		replaces("registry", "zoneRedundancy", func(e *environment) {
			e.registry.Sku = containerregistry.SkuArgs{Name: pulumi.String("Premium")}
			e.registry.ZoneRedundancy = pulumi.String("Enabled")
		}),
		updates("registry", "sku", func(e *environment) {
			e.registry.Sku = containerregistry.SkuArgs{Name: pulumi.String("Premium")}
		}),
		replaces("workspace", "location", func(e *environment) { e.workspace.Location = elsewhere }),
		updates("workspace", "retentionInDays", func(e *environment) { e.workspace.RetentionInDays = pulumi.Int(60) }),

		replaces("server", "location", func(e *environment) { e.server.Location = elsewhere }),
		replaces("server", "serverName", func(e *environment) { e.server.ServerName = text }),
		replaces("server", "administratorLogin", func(e *environment) { e.server.AdministratorLogin = text }),
		replaces("server", "backup.geoRedundantBackup", func(e *environment) { e.serverBackup.GeoRedundantBackup = pulumi.String("Enabled") }),
		replaces("server", "createMode", func(e *environment) { e.server.CreateMode = pulumi.String("Create") }),
		replaces("server", "pointInTimeUTC", func(e *environment) { e.server.PointInTimeUTC = pulumi.String("2024-11-20T00:00:00Z") }),
		replaces("server", "sourceServerResourceId", func(e *environment) { e.server.SourceServerResourceId = pulumi.String(serverID + "-2") }),
		replaces("server", "version, to an older one", func(e *environment) { e.server.Version = pulumi.String("15") }),
		updates("server", "version, to a newer one", func(e *environment) { e.server.Version = pulumi.String("17") }),
		updates("server", "backup.backupRetentionDays", func(e *environment) { e.serverBackup.BackupRetentionDays = pulumi.Int(14) }),
		updates("server", "storage", func(e *environment) { e.server.Storage = postgres.StorageArgs{StorageSizeGB: pulumi.Int(128)} }),
		replaces("database", "charset", func(e *environment) { e.database.Charset = pulumi.String("SQL_ASCII") }),
		replaces("database", "collation", func(e *environment) { e.database.Collation = pulumi.String("C") }),
		replaces("administrator", "principalName", func(e *environment) { e.administrator.PrincipalName = text }),
		replaces("administrator", "tenantId", func(e *environment) { e.administrator.TenantId = pulumi.String(administratorName) }),
		replaces("administrator", "principalType", func(e *environment) { e.administrator.PrincipalType = pulumi.String("User") }),
	}
}
