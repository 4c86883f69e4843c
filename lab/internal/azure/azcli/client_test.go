package azcli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// shell runs the az commands of a script, and returns what they print.
func shell(t *testing.T, cloud *azure.Cloud, script string) (string, error) {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	require.NoError(t, err)
	var out bytes.Buffer
	runner, err := interp.New(interp.Params("-e"), interp.StdIO(nil, &out, &out),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, words []string) error {
				if words[0] != "az" {
					return fmt.Errorf("%s is not az", words[0])
				}
				return Client{cloud}.Run(ctx, words[1:], interp.HandlerCtx(ctx).Stdout)
			}
		}))
	require.NoError(t, err)
	err = runner.Run(t.Context(), file)
	return out.String(), err
}

const zoneNames = "privatelink.vaultcore.azure.net privatelink.azurecr.io prod-gridos.private.postgres.database.azure.com"

// withLinks returns a subscription whose zones are linked to the network of other owners, which is
// peered with the environment's.
func withLinks(t *testing.T) *azure.Cloud {
	t.Helper()
	const group = "prod-gridos-rg"
	network := func(name, space string) azure.Existing {
		return azure.Existing{Type: networks, Inputs: map[string]any{
			"resourceGroupName": group, "virtualNetworkName": name, "location": "francecentral",
			"addressSpace": map[string]any{"addressPrefixes": []any{space}},
		}}
	}
	theirs := "/subscriptions/" + azure.DefaultSubscriptionID + "/resourceGroups/" + group + "/providers/" + networks + "/"
	existing := []azure.Existing{
		azure.ExistingGroup(group, "francecentral"), network("theirs", "10.200.0.0/16"), network("prod-gridos-vnet", "10.30.0.0/16"),
		{Type: networks + "/virtualNetworkPeerings", Inputs: map[string]any{
			"resourceGroupName": group, "virtualNetworkName": "theirs", "virtualNetworkPeeringName": "prod-gridos",
			"remoteVirtualNetwork": map[string]any{"id": theirs + "prod-gridos-vnet"},
		}},
	}
	for _, zone := range strings.Fields(zoneNames) {
		existing = append(existing,
			azure.Existing{Type: zones, Inputs: map[string]any{"resourceGroupName": group, "privateZoneName": zone, "location": "Global"}},
			azure.Existing{Type: zones + "/virtualNetworkLinks", Inputs: map[string]any{
				"resourceGroupName": group, "privateZoneName": zone, "virtualNetworkLinkName": "operators", "location": "Global",
				"registrationEnabled": false, "virtualNetwork": map[string]any{"id": theirs + "theirs"},
			}})
	}
	cloud, err := azure.Open(azure.Options{Existing: existing})
	require.NoError(t, err)
	return cloud
}

// The links of other owners stop the teardown of a private environment, until the commands of
// OPERATIONS.md delete them.
func TestUnit_TheProcedureForZoneLinksWorks(t *testing.T) {
	t.Parallel()
	manual, err := ReadDocument(filepath.Join(repository, "docs", "OPERATIONS.md"))
	require.NoError(t, err)
	blocks, err := manual.Section("Teardown")
	require.NoError(t, err)
	var script string
	for _, b := range blocks {
		if strings.Contains(b.Script, "private-dns link vnet list") {
			script, _, _ = strings.Cut(b.Script, "pulumi -C infra destroy") // the engine's part
		}
	}
	require.NotEmpty(t, script)
	list, del, found := strings.Cut(script, "done\n")
	require.True(t, found)

	cloud := withLinks(t)
	said, err := shell(t, cloud, list+"done\n")
	require.NoError(t, err)
	assert.Equal(t, "operators\noperators\noperators\n", said)
	client := Client{cloud}
	for _, zone := range strings.Fields(zoneNames) {
		id := client.id("prod-gridos-rg", zones, zone)
		require.ErrorContains(t, cloud.Delete(t.Context(), id), "CannotDeleteResource")
		filled, err := Fill(strings.SplitAfter(del, "\n")[0], map[string]string{"link": "operators", "zone": zone})
		require.NoError(t, err)
		_, err = shell(t, cloud, filled)
		require.NoError(t, err)
		require.NoError(t, cloud.Delete(t.Context(), id))
	}
	filled, err := Fill(strings.SplitAfter(del, "\n")[1], map[string]string{"your group": "prod-gridos-rg", "your network": "theirs"})
	require.NoError(t, err)
	_, err = shell(t, cloud, filled)
	require.NoError(t, err)
	require.NoError(t, cloud.Delete(t.Context(), client.id("prod-gridos-rg", networks, "prod-gridos-vnet")))
}

func TestUnit_WhatIsNotCarriedOutSaysSo(t *testing.T) {
	t.Parallel()
	cloud, err := azure.Open(azure.Options{})
	require.NoError(t, err)
	for line, says := range map[string]string{
		"az account show -o tsv":                          "az account show: the simulated Azure does not carry this verb out",
		"az aks delete -g a -n b":                         "az aks delete: the verb is in no document",
		"az aks show -g a -n b --debug":                   "az aks show: the flag --debug is in no document",
		"az group show -n gone":                           "ResourceGroupNotFound",
		"az aks upgrade -g a -n b --yes":                  "give either --kubernetes-version or --node-image-only",
		"az aks nodepool list -g a --cluster-name b":      "ResourceNotFound",
		"az keyvault purge -n gone -l francecentral":      "the vault 'gone' was not found",
		"az aks nodepool add -g a --cluster-name b -n ab": "managedClusters",
	} {
		_, err := shell(t, cloud, line)
		require.ErrorContains(t, err, says, line)
	}
	for _, name := range Carried() {
		assert.Contains(t, verbs(), name, "no document uses a verb that is carried out")
	}
}
