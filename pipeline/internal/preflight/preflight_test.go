package preflight_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/azcli"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight/azuretest"
	"github.com/gridos/sharedinfra/stacks"
)

func TestMain(m *testing.M) {
	if code, started := azuretest.StandIn(); started {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	first = ", the first nodes"
	most  = ", all nodes, and those of an upgrade"

	forbidden = `ERROR: Forbidden({"error":{"code":"AuthorizationFailed","message":"The client 'operator@example.com' with object id '` +
		azuretest.Deployer + `' does not have authorization to perform action 'Microsoft.Compute/skus/read' over scope '/subscriptions/` +
		azuretest.Subscription + `' or the scope is invalid."}})` + "\n"
	throttled = `ERROR: Too Many Requests({"error":{"code":"TooManyRequests","message":"The request is being throttled."}})` + "\n"
)

// needs are those of a prod whose values match the answers, even when the defaults change.
func needs(t testing.TB, overrides map[string]string) preflight.Needs {
	t.Helper()
	values := map[string]string{
		"location": azuretest.Location, "zones": `["1","2","3"]`, "nameSuffix": "x1", "defender": "true",
		"kubernetesVersion": "1.35", "istioRevisions": `["asm-1-29"]`,
		"systemPoolVmSize": "Standard_D4ds_v5", "systemPoolMin": "3", "systemPoolMax": "3",
		"userPoolVmSize": "Standard_D8ds_v5", "userPoolMin": "3", "userPoolMax": "10",
		"postgresVersion": "16", "postgresSkuTier": "GeneralPurpose", "postgresSkuName": "Standard_D4ds_v5", "postgresStorageGb": "256",
		"postgresHighAvailability": "ZoneRedundant", "postgresGeoBackup": "true",
		"gatewayCertificate": "https://gridos-platform-kv.vault.azure.net/secrets/prod-gridos-tls", "alertEmails": `["oncall@gridos.internal"]`,
	}
	maps.Copy(values, overrides)
	given := map[string]string{}
	for key, value := range values {
		given[stacks.Infra.Name+":"+key] = value
	}
	settings, err := program.Load(config.FromMap(stacks.Infra.Name, "prod", given), "prod")
	require.NoError(t, err)
	return preflight.NeedsOf("prod", settings)
}

// run asks with short waits.
func run(t testing.TB, azure *azuretest.Azure, n preflight.Needs) preflight.Report {
	t.Helper()
	report, err := preflight.Preflight{
		Azure: azcli.CLI{Program: azure.Program(), Patience: 20 * time.Second, Attempts: 3, Pause: time.Millisecond},
		Needs: n,
	}.Run(t.Context())
	require.NoError(t, err)
	return report
}

// ask asks the answers themselves, without a process for each.
func ask(t testing.TB, azure *azuretest.Azure, n preflight.Needs) preflight.Report {
	t.Helper()
	report, err := preflight.Preflight{Azure: textsOf(azure), Needs: n}.Run(t.Context())
	require.NoError(t, err)
	return report
}

// states are the checks that are not good: concern and what it is of, with state and finding.
func states(report preflight.Report) map[string]string {
	found := map[string]string{}
	for _, check := range report.Checks {
		if check.State != preflight.Good {
			found[check.Concern+" "+check.Of] = string(check.State) + ": " + check.Found
		}
	}
	return found
}

func TestUnit_ASubscriptionThatHasEverythingIsGood(t *testing.T) {
	t.Parallel()
	report := run(t, azuretest.New(t), needs(t, nil))
	assert.Empty(t, states(report))
	var table bytes.Buffer
	require.NoError(t, report.WriteText(&table))
	for _, text := range []string{
		"36 vCPUs needed, 146 free (4 of 150 are used)",  // 3×4 + 3×8
		"104 vCPUs needed, 146 free (4 of 150 are used)", // (3+1)×4 + (10+1)×8
		"104 vCPUs needed, 196 free (4 of 200 are used)",
		"high availability ZoneRedundant", "storage of 256 GB", "asm-1-28, asm-1-29", "Microsoft.OperationalInsights",
		"prod in francecentral, " + azuretest.Subscription + ":", "0 problems, 0 not known.",
	} {
		assert.Contains(t, table.String(), text)
	}
	var printed bytes.Buffer
	require.NoError(t, report.WriteJSON(&printed))
	var read struct {
		Environment            string
		Checks                 []preflight.Check
		Good, Problems, Unsure int
	}
	require.NoError(t, json.Unmarshal(printed.Bytes(), &read))
	assert.Equal(t, "prod", read.Environment)
	assert.Equal(t, len(read.Checks), read.Good)
}

// The file of prod has such an address until a person replaces it.
func TestUnit_AnExampleHearsOfNoAlert(t *testing.T) {
	t.Parallel()
	report := ask(t, azuretest.New(t), needs(t, map[string]string{"alertEmails": `["oncall@gridos.example", "oncall@gridos.internal"]`}))
	assert.Equal(t, map[string]string{
		"recipient of alerts oncall@gridos.example": "problem: an example, to which no mail is delivered",
	}, states(report))
}

// at returns what an answer has at a path of keys and numbers.
func at(t testing.TB, value any, path ...any) map[string]any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	object, ok := value.(map[string]any)
	require.True(t, ok, "%v", path)
	return object
}

// fault changes an answer, and names the checks that become problems, with a word of each.
type fault struct {
	answer string
	change func(t testing.TB, body map[string]any)
	found  map[string]string
}

func set(key string, value any, path ...any) func(testing.TB, map[string]any) {
	return func(t testing.TB, body map[string]any) { at(t, body, path...)[key] = value }
}

var faults = map[string]fault{
	"quota of the family": {"usages", set("limit", 30, "value", 3), map[string]string{
		"quota standardDDSv5Family" + first: "26 free", "quota standardDDSv5Family" + most: "26 free",
	}},
	"quota of the region, when it is full": {"usages", set("limit", 100, "value", 1), map[string]string{
		"quota cores" + most: "104 vCPUs needed, 96 free",
	}},
	"a size the subscription may not have": {"skus", set("restrictions", []any{map[string]any{
		"type": "Location", "values": []any{azuretest.Location}, "reasonCode": "NotAvailableForSubscription",
		"restrictionInfo": map[string]any{"locations": []any{azuretest.Location}},
	}}, "value", 2), map[string]string{"VM size Standard_D4ds_v5": "NotAvailableForSubscription"}},
	"a zone the subscription may not have": {"skus", set("restrictions", []any{map[string]any{
		"type": "Zone", "values": []any{azuretest.Location}, "reasonCode": "NotAvailableForSubscription",
		"restrictionInfo": map[string]any{"locations": []any{azuretest.Location}, "zones": []any{"2"}},
	}}, "value", 3), map[string]string{"VM size Standard_D8ds_v5": "zones 2 of francecentral"}},
	"a restricted region of PostgreSQL": {"postgres", func(t testing.TB, body map[string]any) {
		at(t, body, "value", 0)["restricted"] = "Enabled"
		at(t, body, "value", 0)["reason"] = "Provisioning is restricted in this region."
	}, map[string]string{"PostgreSQL the offer in francecentral": "Provisioning is restricted in this region."}},
	"a version of PostgreSQL": {"postgres", set("name", "17", "value", 0, "supportedServerVersions", 1), map[string]string{
		"PostgreSQL version 16": "offered are 15, 17",
	}},
	"no zone-redundant server": {"postgres", set("zoneRedundantHaSupported", "Disabled", "value", 0), map[string]string{
		"PostgreSQL high availability ZoneRedundant": "no new zone-redundant servers",
	}},
	"no backups in the paired region": {"postgres", func(t testing.TB, body map[string]any) {
		at(t, body, "value", 0)["geoBackupSupported"] = "Disabled"
		at(t, body, "value", 0)["zoneRedundantHaAndGeoBackupSupported"] = "Disabled"
	}, map[string]string{
		"PostgreSQL backups in the paired region":                            "does not offer them",
		"PostgreSQL backups in the paired region of a zone-redundant server": "does not offer them",
	}},
	"a version of Kubernetes": {"kubernetes", set("isPreview", true, "values", 2), map[string]string{"Kubernetes 1.35": "preview"}},
	"no mesh for it": {"mesh", func(t testing.TB, body map[string]any) {
		for i := range 3 {
			at(t, body, "value", 0, "properties", "meshRevisions", i, "compatibleWith", 0)["versions"] = []any{"1.34"}
		}
	}, map[string]string{"mesh asm-1-29": "with Kubernetes 1.35 go none"}},
	"a provider": {"providers", set("registrationState", "NotRegistered", "value", 4), map[string]string{
		"resource provider Microsoft.Insights": "not registered",
	}},
	"a deleted vault": {"vaults", set("name", "PROD-gridos-kv-x1", "value", 0), map[string]string{
		"key vault prod-gridos-kv-x1": "until 2027-01-30T00:00:59Z, and is protected from purges",
	}},
	"no Defender": {"defender", set("pricingTier", "Free", "properties"), map[string]string{"Defender plan Containers": "switched off"}},
	"no right to assign roles": {"roles", func(_ testing.TB, body map[string]any) {
		body["value"] = body["value"].([]any)[:1]
	}, map[string]string{
		"role assigning roles, by " + azuretest.Deployer:    "none of Owner",
		"role creating locks, by " + azuretest.Deployer:     "no role that allows it",
		"role assigning policies, by " + azuretest.Deployer: "no role that allows it",
	}},
	"a suspended subscription": {"subscription", set("state", "Disabled"), map[string]string{
		"subscription " + azuretest.Subscription: "its state is Disabled",
	}},
}

func TestUnit_EachFaultIsFound(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			azure := azuretest.New(t)
			azure.Change(f.answer, func(body map[string]any) { f.change(t, body) })
			assertProblems(t, ask(t, azure, needs(t, nil)), f.found)
		})
	}
}

// Exactly enough is good; one less is not.
func TestUnit_OneLessIsNotEnough(t *testing.T) {
	t.Parallel()
	const (
		family          = "quota standardDDSv5Family" + first
		unclear         = "not known: the answer has an unknown shape: "
		availability    = "PostgreSQL high availability ZoneRedundant"
		theSubscription = "subscription " + azuretest.Subscription
		version         = "Kubernetes 1.35"
		numbers         = "it does not tell use and limit as numbers"
	)
	editions := func(change func(edition map[string]any)) func(testing.TB, map[string]any) {
		return func(t testing.TB, body map[string]any) {
			for i := range at(t, body, "value", 0)["supportedServerEditions"].([]any) {
				change(at(t, body, "value", 0, "supportedServerEditions", i))
			}
		}
	}
	storage := func(kind string, megabytes int) func(testing.TB, map[string]any) {
		return editions(func(edition map[string]any) {
			edition["supportedStorageEditions"] = []any{map[string]any{
				"name": kind, "supportedStorageMb": []any{map[string]any{"storageSizeMb": megabytes}},
			}}
		})
	}
	modes := func(modes ...string) func(testing.TB, map[string]any) {
		return editions(func(edition map[string]any) {
			for _, sku := range edition["supportedServerSkus"].([]any) {
				sku.(map[string]any)["supportedHaMode"] = modes
			}
		})
	}
	for name, test := range map[string]struct {
		answer string
		change func(testing.TB, map[string]any)
		of     string
		want   string // the beginning of what is found; "" is good
	}{
		"no quota at all": {"usages", func(t testing.TB, body map[string]any) {
			at(t, body, "value", 3)["limit"], at(t, body, "value", 3)["currentValue"] = 0, 0
		}, family, "problem: "},
		"a quota that is no number":           {"usages", set("limit", -1, "value", 3), family, "not known: "},
		"the greatest quota":                  {"usages", set("limit", 1<<40, "value", 3), family, ""},
		"a quota that is greater than any":    {"usages", set("limit", 1<<40+1, "value", 3), family, unclear + numbers},
		"a use that is greater than any":      {"usages", set("currentValue", 1<<40+1, "value", 3), family, unclear + numbers},
		"a use that is the greatest":          {"usages", set("currentValue", 1<<40, "value", 3), family, "problem: "},
		"a use that is no number of vCPUs":    {"usages", set("currentValue", -1, "value", 3), family, unclear + numbers},
		"a use that is not told":              {"usages", set("currentValue", nil, "value", 3), family, unclear + numbers},
		"a quota that is not told":            {"usages", set("limit", nil, "value", 3), family, unclear + numbers},
		"a quota in another unit":             {"usages", set("unit", "Bytes", "value", 3), family, unclear + numbers},
		"exactly the quota that is needed":    {"usages", set("limit", 40, "value", 3), family, ""},
		"one vCPU less":                       {"usages", set("limit", 39, "value", 3), family, "problem: "},
		"a version without a support plan":    {"kubernetes", set("supportPlan", []any{}, "values", 2, "capabilities"), version, unclear + "it tells no support plan"},
		"a version without patches":           {"kubernetes", set("patchVersions", map[string]any{}, "values", 2), version, unclear + "it tells no support plan"},
		"a version with another support plan": {"kubernetes", set("supportPlan", []any{"Odd"}, "values", 2, "capabilities"), version, unclear + "it has no support plan"},
		"a revision of the mesh without versions": {
			"mesh", set("compatibleWith", []any{}, "value", 0, "properties", "meshRevisions", 2), "mesh asm-1-29", unclear + "not all of it can be read",
		},
		"a revision of the mesh for another program": {
			"mesh", set("name", "other", "value", 0, "properties", "meshRevisions", 2, "compatibleWith", 0), "mesh asm-1-29", unclear + "not all of it",
		},
		"a revision of the mesh without a name": {
			"mesh", set("revision", "", "value", 0, "properties", "meshRevisions", 2), "mesh asm-1-29", unclear + "not all of it can be read",
		},
		"another mesh alone": {"mesh", set("name", "other", "value", 0), "mesh Istio", unclear + "it has no revisions of Istio"},
		"one zone is missing": {
			"skus", set("zones", []any{"1", "3"}, "value", 2, "locationInfo", 0),
			"VM size Standard_D4ds_v5", "problem: ",
		},
		"a restriction of another region": {"skus", set("restrictions", []any{map[string]any{
			"type": "Location", "restrictionInfo": map[string]any{"locations": []any{"elsewhere"}},
		}}, "value", 2), "VM size Standard_D4ds_v5", ""},
		"an offer that is disabled": {
			"postgres", set("status", "Disabled", "value", 0),
			"PostgreSQL the offer in " + azuretest.Location, "problem: disabled",
		},
		"tiers without a name": {"postgres", func(t testing.TB, body map[string]any) {
			for i := range at(t, body, "value", 0)["supportedServerEditions"].([]any) {
				at(t, body, "value", 0, "supportedServerEditions", i)["name"] = ""
			}
		}, "PostgreSQL GeneralPurpose", "not known: "},
		"versions, one without a name": {
			"postgres", func(t testing.TB, body map[string]any) {
				at(t, body, "value", 0, "supportedServerVersions", 1)["name"] = ""
				at(t, body, "value", 0)["supportedServerVersions"] = append(
					at(t, body, "value", 0)["supportedServerVersions"].([]any), map[string]any{"name": "17"})
			}, "PostgreSQL version 16", "not known: ",
		},
		"a single size of storage":            {"postgres", storage("ManagedDisk", 1024), "PostgreSQL storage of 256 GB", "problem: not offered"},
		"a single size, which is the right":   {"postgres", storage("ManagedDisk", 256*1024), "PostgreSQL storage of 256 GB", ""},
		"the smallest size of storage":        {"postgres", storage("ManagedDisk", 1), "PostgreSQL storage of 256 GB", "problem: not offered"},
		"sizes of storage that are none":      {"postgres", storage("ManagedDisk", 0), "PostgreSQL storage of 256 GB", unclear + "it has no sizes"},
		"another kind of storage":             {"postgres", storage("ManagedDiskV2", 256*1024), "PostgreSQL storage of 256 GB", unclear + "it has no sizes"},
		"a single mode of availability":       {"postgres", modes("ZoneRedundant"), availability, ""},
		"a single mode, which is another":     {"postgres", modes("SameZone"), availability, "problem: Standard_D4ds_v5 has SameZone"},
		"no mode of availability":             {"postgres", modes(), availability, unclear + "it tells no modes of Standard_D4ds_v5"},
		"an offer that tells half":            {"postgres", set("zoneRedundantHaSupported", "Maybe", "value", 0), availability, unclear + "\"Maybe\""},
		"a subscription that was deleted":     {"subscription", set("state", "Deleted"), theSubscription, "problem: its state is Deleted"},
		"a subscription that has expired":     {"subscription", set("state", "Expired"), theSubscription, "problem: its state is Expired"},
		"a subscription with a bill":          {"subscription", set("state", "PastDue"), theSubscription, "problem: its state is PastDue"},
		"a subscription with a warning":       {"subscription", set("state", "Warned"), theSubscription, "problem: its state is Warned"},
		"a subscription in a state not known": {"subscription", set("state", "Odd"), theSubscription, unclear + "its state is \"Odd\""},
		"a size whose name is no text":        {"skus", set("name", 5, "value", 2), "VM size Standard_D4ds_v5", "not known: "},
		"Contributor with a condition": {"roles", func(t testing.TB, body map[string]any) {
			for i := range at(t, body)["value"].([]any) {
				properties := at(t, body, "value", i, "properties")
				properties["condition"], properties["conditionVersion"] = "@Resource[x] StringEquals 'y'", "2.0"
			}
		}, "role creating resources, by " + azuretest.Deployer, "not known: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			azure := azuretest.New(t)
			azure.Change(test.answer, func(body map[string]any) { test.change(t, body) })
			got := states(ask(t, azure, needs(t, nil)))
			assert.Equal(t, test.want == "", got[test.of] == "", "%s: %v", test.of, got)
			assert.True(t, strings.HasPrefix(got[test.of], test.want), "%s: %v", test.of, got)
		})
	}
}

func TestUnit_AllFaultsAreToldInOneRun(t *testing.T) {
	t.Parallel()
	azure, found := azuretest.New(t), map[string]string{}
	for _, f := range faults {
		azure.Change(f.answer, func(body map[string]any) { f.change(t, body) })
		maps.Copy(found, f.found)
	}
	assertProblems(t, run(t, azure, needs(t, nil)), found)
}

func assertProblems(t testing.TB, report preflight.Report, want map[string]string) {
	t.Helper()
	got := states(report)
	for of, word := range want {
		assert.Contains(t, got[of], string(preflight.Problem)+": ", of)
		assert.Contains(t, got[of], word, of)
		delete(got, of)
	}
	assert.Empty(t, got)
	for _, check := range report.Checks {
		assert.Equal(t, check.State == preflight.Good, check.Remedy == "", "%s %s", check.Concern, check.Of)
	}
}

// The further settings that the configuration may need, and their refusals.
func TestUnit_TheConfigurationDecidesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values map[string]string
		found  map[string]string
	}{
		"another size":      {map[string]string{"userPoolVmSize": "Standard_D16ds_v5"}, map[string]string{"VM size Standard_D16ds_v5": "does not have it"}},
		"another version":   {map[string]string{"kubernetesVersion": "1.32"}, map[string]string{"Kubernetes 1.32": "offers 1.34, 1.35"}},
		"long-term support": {map[string]string{"kubernetesVersion": "1.33"}, map[string]string{"Kubernetes 1.33": "long-term support"}},
		"another server": {map[string]string{"postgresSkuName": "Standard_D8ds_v5"}, map[string]string{
			"PostgreSQL Standard_D8ds_v5": "offered are Standard_D2ds_v5, Standard_D4ds_v5",
		}},
		"more storage":         {map[string]string{"postgresStorageGb": "1024"}, map[string]string{"PostgreSQL storage of 1024 GB": "not offered"}},
		"more nodes":           {map[string]string{"userPoolMax": "20"}, map[string]string{"quota standardDDSv5Family" + most: "192 vCPUs needed"}},
		"another subscription": {map[string]string{"subscriptionId": "0f0b7a86-55b0-4c8e-9a5d-2f2d0a7c9b21"}, map[string]string{"subscription sign-in": "is for 0f0b"}},
		"no Defender":          {map[string]string{"defender": "false"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := states(ask(t, azuretest.New(t), needs(t, test.values)))
			for of, word := range test.found {
				assert.Contains(t, got[of], string(preflight.Problem)+": ", of)
				assert.Contains(t, got[of], word, of)
			}
			if test.found == nil {
				assert.Empty(t, got)
			}
		})
	}
}

// Role Based Access Control Administrator has neither locks nor policies.
func TestUnit_LocksAndPoliciesTakeRolesOfTheirOwn(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Change("roles", func(body map[string]any) {
		at(t, body, "value", 1, "properties")["roleDefinitionId"] = "/providers/Microsoft.Authorization/roleDefinitions/f58310d9-a9f6-439a-9e8d-f62e7b41a168"
	})
	n := needs(t, nil)
	assertProblems(t, ask(t, azure, n), map[string]string{
		"role creating locks, by " + azuretest.Deployer:     "no role that allows it",
		"role assigning policies, by " + azuretest.Deployer: "no role that allows it",
	})
	n.DeleteLock, n.PodSecurity = false, false
	assert.Empty(t, states(ask(t, azure, n)))
}

func TestUnit_ConfiguredMeshRevisionsGoWithTheVersion(t *testing.T) {
	t.Parallel()
	n := needs(t, nil)
	n.MeshRevisions = []string{"asm-1-28", "asm-1-27", "asm-1-30"}
	got := states(ask(t, azuretest.New(t), n))
	assert.Len(t, got, 2)
	assert.Contains(t, got["mesh asm-1-27"], "problem: with Kubernetes 1.35 go asm-1-28, asm-1-29")
	assert.Contains(t, got["mesh asm-1-30"], "problem: ")
}

// lists are the answers that have pages.
var lists = []string{"mesh", "postgres", "providers", "roles", "skus", "usages", "vaults"}

// An answer that is not the documented one makes the check "not known", and the report says nothing
// else about its question.
func TestUnit_WhatIsNoAnswerIsNotKnown(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	for name, spoilt := range map[string]func(answer string) string{
		"nothing":         func(string) string { return "" },
		"an empty object": func(string) string { return "{}" },
		"null":            func(string) string { return "null" },
		"a page of HTML":  func(string) string { return "<html>Sign in</html>" },
		"half an answer":  func(answer string) string { return string(azure.Text(answer)[:len(azure.Text(answer))/2]) },
		"other types":     func(string) string { return `{"value":{},"values":"","properties":[],"state":7}` },
		"numbers":         func(string) string { return `{"value":[1,2],"values":[3]}` },
		"unknown items":   func(string) string { return `{"value":[{"new":1}],"values":[{"new":1}]}` },
		"a broken link":   func(string) string { return `{"value":[],"values":[],"nextLink":"https://%zz"}` },
		"a plain link":    func(string) string { return `{"value":[],"values":[],"nextLink":"http://a.example/subscriptions/x"}` },
		"a strange link":  func(string) string { return `{"value":[],"values":[],"nextLink":"file:///etc"}` },
	} {
		for _, answer := range azure.Names() {
			if azure.Path(answer) == "" {
				continue
			}
			answers := textsOf(azure)
			answers[azure.Path(answer)] = []byte(spoilt(answer))
			report, err := preflight.Preflight{Azure: answers, Needs: needs(t, nil)}.Run(t.Context())
			require.NoError(t, err)
			got := states(report)
			assert.NotEmpty(t, got, "%s for %s", name, answer)
			for of, state := range got {
				assert.True(t, strings.HasPrefix(state, string(preflight.NotKnown)), "%s for %s: %s is %s", name, answer, of, state)
			}
		}
	}
}

func TestUnit_ATierThatARegionDoesNotOfferIsFound(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Change("postgres", func(body map[string]any) {
		at(t, body, "value", 0, "supportedServerEditions", 1)["name"] = "Another"
	})
	assertProblems(t, ask(t, azure, needs(t, nil)), map[string]string{"PostgreSQL GeneralPurpose": "does not offer the tier"})
}

func TestUnit_WithoutTheVCPUsOrTheFamilyOfASizeItsQuotaIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(sku map[string]any){
		"no family": func(sku map[string]any) { delete(sku, "family") },
		"no vCPUs":  func(sku map[string]any) { sku["capabilities"] = []any{} },
		"0 vCPUs":   func(sku map[string]any) { sku["capabilities"] = []any{map[string]any{"name": "vCPUs", "value": "0"}} },
		"vCPUs in words": func(sku map[string]any) {
			sku["capabilities"] = []any{map[string]any{"name": "vCPUs", "value": "four"}}
		},
	} {
		azure := azuretest.New(t)
		azure.Change("skus", func(body map[string]any) {
			for _, sku := range body["value"].([]any) {
				if sku := sku.(map[string]any); sku["name"] == "Standard_D4ds_v5" {
					change(sku)
				}
			}
		})
		assert.Contains(t, states(ask(t, azure, needs(t, nil)))["quota vCPUs"],
			"it does not tell the family and the vCPUs of Standard_D4ds_v5", name)
	}
}

// A quota that is missing in the answer may be in the part of it that could not be read.
func TestUnit_AMissingQuotaTellsWhetherTheWholeAnswerCouldBeRead(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	for family, partial := range map[string]bool{`{"value": "another"}`: false, `["another"]`: true} {
		answers := textsOf(azure)
		var answer struct {
			Value []map[string]any `json:"value"`
		}
		require.NoError(t, json.Unmarshal(azure.Text("usages"), &answer))
		for _, usage := range answer.Value {
			if usage["name"].(map[string]any)["value"] == "standardDDSv5Family" {
				usage["name"] = json.RawMessage(family)
			}
		}
		text, err := json.Marshal(answer)
		require.NoError(t, err)
		answers[azure.Path("usages")] = text
		report, err := preflight.Preflight{Azure: answers, Needs: needs(t, nil)}.Run(t.Context())
		require.NoError(t, err)
		found := states(report)["quota standardddsv5family"]
		assert.Contains(t, found, "it has 0 entries of the name")
		assert.Equal(t, partial, strings.Contains(found, "and not all of it can be read"), found)
	}
}

func TestUnit_WhatFailsIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"a missing right": forbidden, "throttling": throttled, "an error": "ERROR: Bad Request()\n",
		"a broken CLI": "Traceback (most recent call last):\n", "an expired sign-in": "ERROR: AADSTS70043: The refresh token has expired\n",
	} {
		azure := azuretest.New(t)
		for _, answer := range azure.Names() {
			if azure.Path(answer) != "" {
				azure.Fails(answer, said)
			}
		}
		for _, check := range run(t, azure, needs(t, nil)).Checks {
			assert.Equal(t, preflight.NotKnown, check.State, "%s: %s %s", name, check.Concern, check.Of)
			assert.NotEmpty(t, check.Remedy)
		}
	}
}

func TestUnit_EachAnsweredQuestionIsProgress(t *testing.T) {
	t.Parallel()
	var told [][2]int
	p := preflight.Preflight{
		Azure: textsOf(azuretest.New(t)), Needs: needs(t, nil),
		Progress: func(answered, all int) { told = append(told, [2]int{answered, all}) },
	}
	_, err := p.Run(t.Context())
	require.NoError(t, err)
	var want [][2]int
	for answered := range 9 {
		want = append(want, [2]int{answered + 1, 9})
	}
	assert.Equal(t, want, told)
}

func TestUnit_PagesWithoutAnEndAreNotKnown(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	for _, answer := range lists {
		azure.Endless(answer)
	}
	got := states(run(t, azure, needs(t, nil)))
	for _, of := range []string{"mesh Istio", "PostgreSQL the offer in francecentral", "VM size Standard_D4ds_v5", "quota vCPUs"} {
		assert.Contains(t, got[of], "not known: the answer has an unknown shape: its pages have no end")
	}
	assert.Equal(t, 1, azure.Calls("mesh"))
}

// An empty list says something of deleted vaults only: there are none.
func TestUnit_AnEmptyListIsAnAnswerOnlyOfDeletedVaults(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	for _, answer := range append(slices.Clone(lists), "kubernetes") {
		answers := textsOf(azure)
		answers[azure.Path(answer)] = []byte(`{"value":[],"values":[]}`)
		report, err := preflight.Preflight{Azure: answers, Needs: needs(t, nil)}.Run(t.Context())
		require.NoError(t, err)
		got := states(report)
		assert.Equal(t, answer == "vaults", len(got) == 0, answer)
		for of, state := range got {
			assert.Contains(t, state, "not known: ", of)
		}
	}
}

func TestUnit_AMissingRightNamesTheRole(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Fails("usages", forbidden)
	for _, check := range run(t, azure, needs(t, nil)).Checks {
		if check.State != preflight.Good {
			assert.Equal(t, preflight.NotKnown, check.State)
			assert.Contains(t, check.Found, "AuthorizationFailed")
			assert.Contains(t, check.Remedy, "the role Reader")
		}
	}
}

func TestUnit_ThrottledQuestionsAreAskedAgain(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.FailsFirst("mesh", 2, throttled)
	azure.FailsFirst("skus", 1, "ERROR: Service Unavailable\n")
	azure.FailsFirst("usages", 1, "ERROR: Gateway Timeout(<html>)\n")
	got := states(run(t, azure, needs(t, nil)))
	assert.Empty(t, got)
	assert.Equal(t, 2, azure.Calls("0-mesh"))
	assert.Equal(t, 1, azure.Calls("mesh"))

	azure = azuretest.New(t)
	azure.Fails("mesh", throttled)
	azure.Fails("vaults", forbidden)
	run(t, azure, needs(t, nil))
	assert.Equal(t, 3, azure.Calls("mesh"), "as often as Attempts says")
	assert.Equal(t, 1, azure.Calls("vaults"), "a missing right does not pass")
}

func TestUnit_AllPagesAreRead(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Change("usages", func(body map[string]any) { // what is looked for is on the second page
		set("limit", 30, "value", 3)(t, body)
	})
	for _, answer := range []string{"usages", "skus", "providers", "roles", "mesh"} {
		azure.Paged(answer)
	}
	assertProblems(t, run(t, azure, needs(t, nil)), faults["quota of the family"].found)
	assert.Equal(t, 1, azure.Calls("skus-2"))
}

func TestUnit_AnAnswerThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Hangs("defender")
	n := needs(t, nil)
	report, err := preflight.Preflight{
		Azure: azcli.CLI{Program: azure.Program(), Patience: 3 * time.Second, Attempts: 2, Pause: time.Millisecond}, Needs: n,
	}.Run(t.Context())
	require.NoError(t, err)
	assert.Contains(t, states(report)["Defender plan Containers"], "not known: az rest does not answer within 3s")
}

func TestUnit_AnInterruptedRunSaysNothing(t *testing.T) {
	t.Parallel()
	azure := azuretest.New(t)
	azure.Hangs("mesh")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := preflight.Preflight{
		Azure: azcli.CLI{Program: azure.Program(), Patience: time.Minute, Attempts: 2, Pause: time.Millisecond}, Needs: needs(t, nil),
	}.Run(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestUnit_WithoutASignInNothingIsKnown(t *testing.T) {
	t.Parallel()
	for said, remedy := range map[string]string{
		"ERROR: Please run 'az login' to setup account.\n": "run az login",
		"ERROR: something else\n":                          "run it again",
	} {
		azure := azuretest.New(t)
		azure.Fails("account", said)
		report := run(t, azure, needs(t, nil))
		require.Len(t, report.Checks, 1)
		assert.Equal(t, preflight.NotKnown, report.Checks[0].State)
		assert.Contains(t, report.Checks[0].Remedy, remedy)
	}
	report, err := preflight.Preflight{
		Azure: azcli.CLI{Program: "no-such-az", Patience: time.Second, Attempts: 1, Pause: time.Millisecond}, Needs: needs(t, nil),
	}.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Checks, 1)
	assert.Contains(t, report.Checks[0].Found, "is not on PATH")
	assert.Contains(t, report.Checks[0].Remedy, "install the Azure CLI")
}

// An environment that keeps its metrics assigns no role for them, so that its deployer needs no
// other condition than before.
func TestUnit_OnlyAnEnvironmentThatSendsMetricsNeedsTheirRole(t *testing.T) {
	t.Parallel()
	const workspace = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/watch-rg/providers/Microsoft.Monitor/accounts/watch"
	assert.NotContains(t, needs(t, nil).Roles, identity.MetricsPublisher)
	assert.Contains(t, needs(t, map[string]string{"metricsWorkspaceId": workspace}).Roles, identity.MetricsPublisher)
}

// Only the condition that the set-up document prescribes is good.
func TestUnit_AConditionIsJudgedByTheRolesThatItAllows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/INFRA_PIPELINE_SETUP.md")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?s)--condition-version 2\.0 --condition "(.*?)"\n`).FindSubmatch(text)
	require.NotNil(t, found)
	var all []string
	for _, role := range identity.Assigned(true) {
		all = append(all, string(role))
		assert.Contains(t, string(text), string(role), "the setup document lists the role")
	}
	written := string(found[1])
	condition := func(roles ...string) string { return strings.ReplaceAll(written, "$roles", strings.Join(roles, ", ")) }
	for name, test := range map[string]struct{ condition, state string }{
		"the document's": {condition(all...), "good"},
		"a role less":    {condition(all[1:]...), "problem"},
		"none of them":   {strings.ReplaceAll(condition(all...), "GuidEquals", "GuidNotEquals"), "not known"},
		"for users only": {condition(all...) + " AND @Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringEquals 'User'", "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			azure := azuretest.New(t)
			azure.Change("roles", func(body map[string]any) {
				properties := at(t, body, "value", 1, "properties")
				properties["roleDefinitionId"] = "/providers/Microsoft.Authorization/roleDefinitions/f58310d9-a9f6-439a-9e8d-f62e7b41a168"
				properties["condition"], properties["conditionVersion"] = test.condition, "2.0"
			})
			n := needs(t, nil)
			n.DeleteLock, n.PodSecurity = false, false // these take roles of their own
			got := states(ask(t, azure, n))
			if test.state == "good" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			assert.True(t, strings.HasPrefix(got["role assigning roles, by "+azuretest.Deployer], test.state), "%v", got)
		})
	}
}

// A custom role of the organisation may allow everything, and a role on a resource group is not one
// on the subscription.
func TestUnit_OtherRolesAreNotTakenForTheNeededOnes(t *testing.T) {
	t.Parallel()
	custom, group := azuretest.New(t), azuretest.New(t)
	custom.Change("roles", func(body map[string]any) {
		at(t, body, "value", 1, "properties")["roleDefinitionId"] = "/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/0b5fe924"
	})
	group.Change("roles", func(body map[string]any) {
		at(t, body, "value", 1, "properties")["scope"] = "/subscriptions/" + azuretest.Subscription + "/resourceGroups/rg"
	})
	of := "role assigning roles, by " + azuretest.Deployer
	assert.Contains(t, states(ask(t, custom, needs(t, nil)))[of], "not known: ")
	assert.Contains(t, states(ask(t, group, needs(t, nil)))[of], "problem: ")
}

// The checks can read the needs of all three environments as they are committed.
func TestUnit_EveryEnvironmentHasNeeds(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		n, err := preflight.Read(t.Context(), "../../..", environment)
		require.NoError(t, err)
		assert.Len(t, n.Pools, 2)
		assert.NotEmpty(t, n.Vault)
	}
	_, err := preflight.Read(t.Context(), "../../..", "staging")
	require.ErrorContains(t, err, `there is no stack "staging"`)
}
