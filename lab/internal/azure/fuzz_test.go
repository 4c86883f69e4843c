package azure_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// populated returns a simulated Azure with many of the platform's resources.
func populated(f *testing.F) *azure.Cloud {
	f.Helper()
	cloud, err := azure.Open(azure.Options{})
	require.NoError(f, err)
	provider := cloud.Provider()
	for _, one := range examples() {
		_, err := provider.Create(f.Context(), &pulumirpc.CreateRequest{Type: one.token, Properties: written(f, one.inputs)})
		require.NoError(f, err, one.token)
	}
	return cloud
}

// example is a resource that Azure takes.
type example struct {
	token  string
	inputs in
}

// examples returns resources that Azure accepts in this order, each after those before it.
func examples() []example {
	return []example{
		{tokenGroup, groupInputs},
		{tokenNetwork, networkInputs},
		{tokenSubnet, subnet("aks", "10.10.0.0/20", nil)},
		{tokenNSG, nsgInputs},
		{tokenSubnet, subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}})},
		{tokenAddress, in{
			"resourceGroupName": "rg", "publicIpAddressName": "pip", "location": "westeurope",
			"sku": in{"name": "Standard"}, "publicIPAllocationMethod": "Static",
		}},
		{tokenPolicy, in{
			"resourceGroupName": "rg", "policyName": "waf", "location": "westeurope",
			"policySettings": in{"state": "Enabled", "mode": "Prevention"},
			"managedRules":   in{"managedRuleSets": []any{in{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"}}},
		}},
		{tokenVault, vaultInputs},
		{tokenServer, serverInputs},
		{tokenZone, in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"}},
		{tokenLink, in{
			"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "virtualNetworkLinkName": "vnet",
			"location": "Global", "registrationEnabled": false, "virtualNetwork": in{"id": vnet},
		}},
		{tokenIdentity, identityInputs},
		{tokenGateway, gatewayInputs},
	}
}

// written returns properties as a request sends them.
func written(tb testing.TB, inputs in) *structpb.Struct {
	tb.Helper()
	result, err := providers.Marshal(properties(inputs))
	require.NoError(tb, err)
	return result
}

// FuzzRequests: the simulated Azure answers every request of an engine, and its answers are true. A
// refused request has changed nothing. A created resource can be read and deleted. No request
// touches a resource other than its own.
func FuzzRequests(f *testing.F) {
	const (
		check = iota
		diff
		create
		read
		update
		remove
		invoke
		operations
	)
	base := populated(f)
	tokens, functions := base.Tokens(), base.Functions()
	at := func(token string) uint8 { return uint8(slices.Index(tokens, token)) }
	text := func(inputs in) []byte {
		result, err := protojson.Marshal(written(f, inputs))
		require.NoError(f, err)
		return result
	}
	further := []example{
		{tokenGroup, with(groupInputs, in{"resourceGroupName": "other"})},
		{tokenSubnet, subnet("pg", "10.10.32.0/28", in{
			"delegations": []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}},
		})},
		{tokenDatabase, in{"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "databaseName": "gridos"}},
		{tokenSetting, in{
			"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "configurationName": "ssl_min_protocol_version",
			"value": "TLSv1.2", "source": "user-override",
		}},
		{tokenRole, role("00000000-0000-0000-0000-000000000081", vnet, azure.DefaultObjectID, contributor)},
		{tokenCluster, clusterInputs},
		{tokenPool, poolInputs},
		{tokenRegistry, in{"resourceGroupName": "rg", "registryName": "devgridosacr", "location": "westeurope", "sku": in{"name": "Premium"}}},
		{tokenVault, with(vaultInputs, in{"vaultName": "other-kv", "location": computed})},
		{tokenGroup, with(groupInputs, in{"resourceGroupName": "not-known", "tags": in{"a": computed}})},
		{tokenServer, with(serverInputs, in{"serverName": "other", "storage": in{"storageSizeGB": 1e300}})},
		{tokenAddress, in{"resourceGroupName": "rg", "publicIpAddressName": "a/../b", "tags": in{"__x": "y"}}},
		{tokenIdentity, in{}},
	}
	for _, one := range slices.Concat(examples(), further) {
		for operation := range uint8(invoke) {
			f.Add(operation, at(one.token), "", vnet+"/subnets/aks", text(one.inputs), text(with(one.inputs, in{"tags": in{"a": "b"}})))
		}
	}
	for _, resource := range base.Inventory() {
		f.Add(uint8(remove), at(tokenGroup), "", resource.ID, []byte(`{}`), []byte(`{}`))
		f.Add(uint8(read), at(tokenSubnet), "", strings.ToUpper(resource.ID), []byte(`{}`), []byte(`{}`))
		f.Add(uint8(update), at(tokenNetwork), "", resource.ID, text(networkInputs), text(networkInputs))
	}
	for number := range functions {
		f.Add(uint8(invoke), uint8(number), "", "", text(in{"resourceGroupName": "rg", "resourceName": "dev-gridos-aks"}), []byte(`{}`))
	}
	f.Add(uint8(create), uint8(255), "azure-native:compute:VirtualMachine", "", []byte(`{}`), []byte(`{}`))
	f.Add(uint8(create), at(tokenGroup), "", "", []byte(`{"resourceGroupName": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "s"}, "location": {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}, "tags": null}`), []byte(`{}`))

	f.Fuzz(func(t *testing.T, operation, number uint8, typ, id string, first, second []byte) {
		news, olds := &structpb.Struct{}, &structpb.Struct{}
		if protojson.Unmarshal(first, news) != nil || protojson.Unmarshal(second, olds) != nil {
			t.Skip("not what gRPC would hand over")
		}
		if operation %= operations; operation == invoke && int(number) < len(functions) {
			typ = functions[number]
		} else if int(number) < len(tokens) {
			typ = tokens[number]
		}
		cloud := base.Copy()
		provider := cloud.Provider()
		ctx := t.Context()
		unchanged := func() { require.True(t, cloud.Unchanged(base), "what is refused, or only asked, changes nothing") }
		switch operation {
		case check:
			response, err := provider.Check(ctx, &pulumirpc.CheckRequest{Type: typ, News: news, Olds: olds})
			require.True(t, err != nil || response.GetInputs() != nil)
			for _, failure := range response.GetFailures() {
				assert.NotEmpty(t, failure.GetReason())
			}
			unchanged()
		case diff:
			_, err := provider.Diff(ctx, &pulumirpc.DiffRequest{Type: typ, News: news, OldInputs: olds})
			if err == nil {
				same, err := provider.Diff(ctx, &pulumirpc.DiffRequest{Type: typ, News: news, OldInputs: news})
				require.NoError(t, err)
				assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, same.GetChanges(), "nothing differs from itself")
			}
			unchanged()
		case create:
			_, err := provider.Create(ctx, &pulumirpc.CreateRequest{Type: typ, Properties: news, Preview: true})
			unchanged()
			response, created := provider.Create(ctx, &pulumirpc.CreateRequest{Type: typ, Properties: news})
			if created != nil {
				unchanged()
				return
			}
			require.NoError(t, err, "what can be created can be previewed")
			inputs, err := providers.Unmarshal(news)
			require.NoError(t, err)
			assert.False(t, inputs.ContainsUnknowns(), "nobody knows what was created")
			checkCreated(t, cloud, base, typ, response)
		case read:
			response, err := provider.Read(ctx, &pulumirpc.ReadRequest{Type: typ, Id: id, Properties: news, Inputs: olds})
			if err == nil && response.GetId() != "" {
				assert.True(t, has(cloud, response.GetId(), cloud.KindOf(typ)), "%s is no %s", response.GetId(), typ)
				assert.True(t, strings.EqualFold(strings.TrimSuffix(id, "/"), response.GetId()))
			}
			unchanged()
		case update:
			response, err := provider.Update(ctx, &pulumirpc.UpdateRequest{Type: typ, Id: id, News: news, OldInputs: olds})
			if err != nil {
				unchanged()
				return
			}
			now, err := provider.Read(ctx, &pulumirpc.ReadRequest{Type: typ, Id: id, Properties: response.GetProperties(), Inputs: news})
			require.NoError(t, err)
			require.NotEmpty(t, now.GetId())
			sameProperties(t, response.GetProperties(), now.GetProperties())
			assert.Equal(t, base.Inventory(), cloud.Inventory(), "an update makes and deletes nothing, and no resource another type")
		case remove:
			checkDeleted(t, cloud, base, typ, id)
		case invoke:
			response, err := provider.Invoke(ctx, &pulumirpc.InvokeRequest{Tok: typ, Args: news})
			require.True(t, err != nil || len(response.GetFailures()) > 0 || response.GetReturn() != nil)
			unchanged()
		}
		require.True(t, cloud.Idle(), "an operation is still under way")
		cloud.Unfulfilled() // must not panic, whatever the resources are
	})
}

// has reports whether a resource of an ARM type is live.
func has(cloud *azure.Cloud, id, kind string) bool {
	return slices.ContainsFunc(cloud.Inventory(), func(r azure.Resource) bool { return r.ID == id && r.Type == kind })
}

// checkCreated looks for the created resource, and deletes it again.
func checkCreated(t *testing.T, cloud, base *azure.Cloud, typ string, response *pulumirpc.CreateResponse) {
	t.Helper()
	id := response.GetId()
	require.True(t, has(cloud, id, cloud.KindOf(typ)), id)
	before := map[azure.Resource]bool{}
	for _, r := range base.Inventory() {
		before[r] = true
	}
	for _, r := range cloud.Inventory() {
		assert.True(t, before[r] || r.ID == id, "%s was made too", r.ID)
	}
	read, err := cloud.Provider().Read(t.Context(), &pulumirpc.ReadRequest{Type: typ, Id: id, Properties: response.GetProperties()})
	require.NoError(t, err)
	require.Equal(t, id, read.GetId())
	sameProperties(t, response.GetProperties(), read.GetProperties())
	checkDeleted(t, cloud, cloud.Copy(), typ, id)
}

// checkDeleted deletes a resource. Then either it is gone, together with only the resources that
// Azure had made in it, or nothing has changed.
func checkDeleted(t *testing.T, cloud, base *azure.Cloud, typ, id string) {
	t.Helper()
	_, err := cloud.Provider().Delete(t.Context(), &pulumirpc.DeleteRequest{Type: typ, Id: id})
	if err != nil {
		require.NotEmpty(t, err.Error())
		require.True(t, cloud.Unchanged(base), "what is refused changes nothing")
		return
	}
	there := map[azure.Resource]bool{}
	for _, r := range cloud.Inventory() {
		there[r] = true
	}
	for _, r := range base.Inventory() {
		if there[r] {
			assert.False(t, strings.EqualFold(r.ID, strings.TrimSuffix(id, "/")), "%s is still there", id)
			continue
		}
		own := strings.EqualFold(r.ID, strings.TrimSuffix(id, "/")) && r.Type == base.KindOf(typ)
		inside := strings.HasPrefix(strings.ToLower(r.ID), strings.ToLower(strings.TrimSuffix(id, "/"))+"/")
		assert.True(t, own || inside, "deleting the %s %q took away the %s %s", typ, id, r.Type, r.ID)
	}
	_, err = cloud.Provider().Delete(t.Context(), &pulumirpc.DeleteRequest{Type: typ, Id: id})
	require.NoError(t, err, "deleting what is gone succeeds")
}

// sameProperties compares the result of an operation with a later read, without the marks of
// secrecy.
func sameProperties(t *testing.T, one, other *structpb.Struct) {
	t.Helper()
	first, err := providers.Unmarshal(one)
	require.NoError(t, err)
	second, err := providers.Unmarshal(other)
	require.NoError(t, err)
	difference := providers.RevealAll(first).Diff(providers.RevealAll(second))
	require.Nil(t, difference, "what is read differs from what was returned: %v", difference)
}

// FuzzInventory: a state file is either refused with an error that names it, or everything in it
// can be read and, in some order, deleted. Closing and opening the simulated Azure does not change
// it.
func FuzzInventory(f *testing.F) {
	path := filepath.Join(f.TempDir(), "azure.json")
	cloud, err := azure.Open(azure.Options{StateFile: path})
	require.NoError(f, err)
	h := cloud.Provider()
	for i, one := range examples() {
		_, err := h.Create(f.Context(), &pulumirpc.CreateRequest{Type: one.token, Properties: written(f, one.inputs)})
		require.NoError(f, err)
		if i == 0 || i == 4 || i == len(examples())-1 {
			text, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(text)
		}
	}
	const group1 = `{"id":"` + group + `","type":"Microsoft.Resources/resourceGroups","inputs":{"resourceGroupName":"rg"},"outputs":{}}`
	for _, resources := range []string{
		``, `null`, group1, group1 + `,` + group1, `{}`, `{"type":"Microsoft.Network/virtualNetworks"}`,
		`{"id":"x","type":"Microsoft.Network/virtualNetworks/subnets","inputs":null,"outputs":null}`,
		`{"id":"` + group + `","type":"Microsoft.Network/virtualNetworks","inputs":{"resourceGroupName":7}}`,
	} {
		f.Add([]byte(`{"version":1,"resources":[` + resources + `],"softDeleted":[` + resources + `]}`))
	}
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"resources":null} x`))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "azure.json")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		cloud, err := azure.Open(azure.Options{StateFile: path})
		if err != nil {
			assert.ErrorContains(t, err, path)
			return
		}
		cloud.Unfulfilled()
		inventory := cloud.Inventory()
		tokens := map[string]string{}
		for _, token := range cloud.Tokens() {
			tokens[strings.ToLower(cloud.KindOf(token))] = token
		}
		provider := cloud.Provider()
		for _, r := range inventory {
			response, err := provider.Read(t.Context(), &pulumirpc.ReadRequest{Type: tokens[strings.ToLower(r.Type)], Id: r.ID})
			require.NoError(t, err)
			require.Equal(t, r.ID, response.GetId())
		}
		// One more resource is saved, and the cloud is opened again.
		_, err = provider.Create(t.Context(), &pulumirpc.CreateRequest{
			Type: tokenGroup, Properties: written(t, with(groupInputs, in{"resourceGroupName": "one-more"})),
		})
		if err == nil {
			again, err := azure.Open(azure.Options{StateFile: path})
			require.NoError(t, err)
			assert.Equal(t, cloud.Inventory(), again.Inventory())
			assert.Equal(t, cloud.SoftDeleted(), again.SoftDeleted())
			assert.Len(t, again.Inventory(), len(inventory)+1)
		}
		for _, r := range inventory {
			_, err := provider.Delete(t.Context(), &pulumirpc.DeleteRequest{Type: tokens[strings.ToLower(r.Type)], Id: r.ID})
			assert.Equal(t, err != nil, slices.Contains(cloud.Inventory(), r), "%s: %v", r.ID, err)
		}
	})
}
