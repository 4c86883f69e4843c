package enginetest

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const invalidName = "InvalidResourceName"

func TestEngine_Names_Cluster(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.ResourceName = pulumi.String("gridos_")
	previewRefuses(t, e, "cluster", mistake{
		code: invalidName, property: "resourceName",
		says: []string{"'gridos_' is invalid", "use 1 to 63 letters, digits, hyphens and underscores"},
	})
}

func TestEngine_Names_ClusterDNSPrefix(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.DnsPrefix = pulumi.String("grid_os")
	previewRefuses(t, e, "cluster", mistake{
		code: "InvalidDnsPrefix", property: "dnsPrefix",
		says: []string{"'grid_os' is no DNS prefix", "set dnsPrefix to 1 to 54 letters, digits and hyphens"},
	})
}

func TestEngine_Names_NodePool(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.AgentPoolName = pulumi.String("user-pool")
	previewRefuses(t, e, "pool", mistake{
		code: invalidName, property: "agentPoolName",
		says: []string{"'user-pool' is invalid", "use 1 to 12 lower-case letters and digits, a letter first"},
	})
}

func TestEngine_Names_Registry(t *testing.T) {
	t.Parallel()
	e := valid()
	e.registry.RegistryName = pulumi.String("gridos-acr")
	previewRefuses(t, e, "registry", mistake{
		code: invalidName, property: "registryName", says: []string{"'gridos-acr' is invalid", "use 5 to 50 letters and digits"},
	})
}

func TestEngine_Names_Vault(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vault.VaultName = pulumi.String("gridos--kv")
	previewRefuses(t, e, "vault", mistake{
		code: invalidName, property: "vaultName", says: []string{"'gridos--kv' is invalid", "two hyphens in a row; use one"},
	})
}

func TestEngine_Names_Secret(t *testing.T) {
	t.Parallel()
	e := valid()
	e.secret.SecretName = pulumi.String("pass_word")
	previewRefuses(t, e, "secret", mistake{
		code: invalidName, property: "secretName", says: []string{"'pass_word' is invalid", "use 1 to 127 letters, digits and hyphens"},
	})
}

func TestEngine_Names_Server(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.ServerName = pulumi.String("Gridos")
	previewRefuses(t, e, "server", mistake{
		code: invalidName, property: "serverName",
		says: []string{"'Gridos' is invalid", "use 3 to 63 lower-case letters, digits and hyphens"},
	})
}

func TestEngine_Names_Workspace(t *testing.T) {
	t.Parallel()
	e := valid()
	e.workspace.WorkspaceName = pulumi.String("log")
	previewRefuses(t, e, "workspace", mistake{
		code: invalidName, property: "workspaceName", says: []string{"'log' is invalid", "use 4 to 63 letters, digits and hyphens"},
	})
}

func TestEngine_Names_Identity(t *testing.T) {
	t.Parallel()
	e := valid()
	e.identity.ResourceName = pulumi.String("id")
	previewRefuses(t, e, "identity", mistake{
		code: invalidName, property: "resourceName",
		says: []string{"'id' is invalid", "use 3 to 128 letters, digits, hyphens and underscores"},
	})
}

func TestEngine_Names_Alert(t *testing.T) {
	t.Parallel()
	w := watching()
	w.metric.RuleName = pulumi.String("vault: fails")
	previewRefuses(t, w.added(), "metric", mistake{
		code: invalidName, property: "ruleName", says: []string{"'vault: fails' is invalid", "use 1 to 260 characters, none of * # & + : < >"},
	})
}

func TestEngine_Names_ActionGroup(t *testing.T) {
	t.Parallel()
	w := watching()
	w.recipients.ActionGroupName = pulumi.String("on call.")
	previewRefuses(t, w.added(), "recipients", mistake{
		code: invalidName, property: "actionGroupName", says: []string{"'on call.' is invalid", "no space or period last"},
	})
}

func TestEngine_Names_DataCollectionRule(t *testing.T) {
	t.Parallel()
	c := collection()
	c.rule.DataCollectionRuleName = pulumi.String("pod logs")
	previewRefuses(t, c.added(), "rule", mistake{
		code: invalidName, property: "dataCollectionRuleName", says: []string{"'pod logs' is invalid", "use 3 to 64 letters, digits"},
	})
}

func TestEngine_Names_DataCollectionEndpoint(t *testing.T) {
	t.Parallel()
	m := metering()
	m.endpoint.DataCollectionEndpointName = pulumi.String("metrics.dev")
	previewRefuses(t, m.added(), "endpoint", mistake{
		code: invalidName, property: "dataCollectionEndpointName",
		says: []string{"'metrics.dev' is invalid", "use 3 to 44 letters, digits and hyphens"},
	})
}
