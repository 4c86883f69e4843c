package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/stacks"
)

// attempt changes one key of an environment that is up.
type attempt struct {
	key string
	// when is the case that the documentation writes before a colon, or "" for a key with one case.
	when string
	// to is the key's new value.
	to any
	// with are other keys that have to change too.
	with map[string]any
	// says is the part of a refusal about the way round.
	says string
	// apart keeps a change in place out of the update that makes all such changes together.
	apart bool
}

// over returns the values of an environment, overridden by those of the attempt.
func (a attempt) over(values map[string]any) map[string]any {
	changed := map[string]any{}
	maps.Copy(changed, values)
	maps.Copy(changed, a.with)
	changed[a.key] = a.to
	return changed
}

// named returns the result of the case, as the document writes it.
func (a attempt) named(end string) string {
	if a.when == "" {
		return end
	}
	return a.when + ": " + end
}

// These are the results in the column "changed later", unless something is replaced or deleted.
const (
	inPlace   = "in place"
	nothing   = "no resource changes"
	byAzure   = "refused by Azure"
	byProgram = "refused by the program"
)

// piece is a type of resource with its name in the documentation.
type piece struct {
	kind, noun string
	// of is the piece that it is a part of, and is deleted with.
	of string
	// detail says that it is named only if nothing else is lost.
	detail bool
}

const everything = "azure-native:resources:ResourceGroup"

// pieces are in the order in which a case names them. Pieces without a noun have no content, so
// their replacement is not mentioned.
func pieces() []piece {
	const (
		cluster = "azure-native:containerservice:ManagedCluster"
		server  = "azure-native:dbforpostgresql:Server"
		vault   = "azure-native:keyvault:Vault"
	)
	return []piece{
		{kind: everything, noun: "the environment"},
		{kind: "azure-native:network:VirtualNetwork", noun: "the virtual network"},
		{kind: "azure-native:network:Subnet", noun: "subnets", of: "azure-native:network:VirtualNetwork"},
		{kind: cluster, noun: "the cluster"},
		{kind: "azure-native:containerservice:AgentPool", noun: "the user pool", of: cluster},
		{kind: "azure-native:containerservice:MaintenanceConfiguration", of: cluster},
		{kind: "azure-native:containerregistry:Registry", noun: "the registry"},
		{kind: vault, noun: "the key vault"},
		{kind: "azure-native:keyvault:Secret", noun: "secrets", of: vault},
		{kind: server, noun: "the PostgreSQL server"},
		{kind: "azure-native:dbforpostgresql:Database", noun: "the database", of: server},
		{kind: "azure-native:dbforpostgresql:Configuration", of: server},
		{kind: "azure-native:dbforpostgresql:Administrator", noun: "the administrator", of: server},
		{kind: "azure-native:network:ApplicationGateway", noun: "the gateway"},
		{kind: "azure-native:network:NatGateway", noun: "the NAT gateway"},
		{kind: "azure-native:network:PublicIPAddress", noun: "public addresses"},
		{kind: "azure-native:network:PrivateEndpoint", noun: "the private endpoint"},
		{kind: "azure-native:network:VirtualNetworkPeering", noun: "the peering"},
		{kind: "azure-native:operationalinsights:Workspace", noun: "the workspace"},
		{kind: "azure-native:managedidentity:UserAssignedIdentity", noun: "an identity"},
		{kind: "azure-native:network:VirtualNetworkLink", noun: "links of private zones", detail: true},
		{kind: "azure-native:network:PrivateZone", detail: true},
		{kind: "azure-native:network:PrivateDnsZoneGroup", detail: true},
		{kind: "azure-native:authorization:RoleAssignment", noun: "role assignments", detail: true},
		{kind: "azure-native:authorization:ManagementLockByScope", noun: "locks", detail: true},
		{kind: "azure-native:authorization:PolicyAssignment", noun: "the policy assignment", detail: true},
		{kind: "azure-native:managedidentity:FederatedIdentityCredential", noun: "federated credentials", detail: true},
		{kind: "azure-native:insights:DiagnosticSetting", detail: true},
		{kind: "azure-native:insights:DataCollectionRule", noun: "the data collection rule"},
		{kind: "azure-native:insights:DataCollectionEndpoint", of: "azure-native:insights:DataCollectionRule"},
		{kind: "azure-native:insights:DataCollectionRuleAssociation", of: "azure-native:insights:DataCollectionRule"},
		{kind: "azure-native:operationalinsights:QueryPack", detail: true},
		{kind: "azure-native:operationalinsights:Query", detail: true},
		{kind: "azure-native:insights:MetricAlert", noun: "the alerts"},
		{kind: "azure-native:insights:ActivityLogAlert", of: "azure-native:insights:MetricAlert"},
		{kind: "azure-native:insights:ActionGroup", of: "azure-native:insights:MetricAlert"},
		{kind: "azure-native:consumption:Budget", noun: "the budget"},
		{kind: "kubernetes:core:Namespace", noun: "namespaces"},
		{kind: "kubernetes:core:Service", noun: "the load balancer"},
		{kind: "kubernetes:core:Secret", noun: "a Secret"},
		{kind: "kubernetes:helm.sh:Release", noun: "the release"},
		{kind: "kubernetes:argoproj.io:AppProject", noun: "an AppProject"},
		{kind: "kubernetes:argoproj.io:Application", noun: "the Application"},
		{kind: "kubernetes:external-secrets.io:ExternalSecret", noun: "the ExternalSecrets", detail: true},
		{kind: "kubernetes:external-secrets.io:ClusterSecretStore", noun: "the ClusterSecretStore"},
		{kind: "random:index/randomPassword:RandomPassword", noun: "the password"},
	}
}

// version is the version of an API in the token of a type.
var version = regexp.MustCompile(`/v[^:/]*:`)

// lost names the pieces with one of the operations in a plan: "the registry and the key vault".
func lost(t *testing.T, plan []changes.Change, op changes.Op) string {
	t.Helper()
	kinds := map[string]bool{}
	for _, c := range plan {
		if c.Op == op && c.Was == "" {
			kinds[version.ReplaceAllString(c.Type, ":")] = true
		}
		if op == changes.Delete && c.Was != "" {
			kinds[version.ReplaceAllString(c.Type, ":")] = true
		}
	}
	if kinds[everything] {
		kinds = map[string]bool{everything: true}
	}
	var nouns, details []string
	for _, p := range pieces() {
		switch {
		case !kinds[p.kind] || p.noun == "" || kinds[p.of]:
		case p.detail:
			details = append(details, p.noun)
		default:
			nouns = append(nouns, p.noun)
		}
	}
	for kind := range kinds {
		assert.True(t, slices.ContainsFunc(pieces(), func(p piece) bool { return p.kind == kind }), "what do people call %s?", kind)
	}
	if len(nouns) == 0 {
		nouns = details
	}
	if len(nouns) < 2 {
		return strings.Join(nouns, "")
	}
	last := len(nouns) - 1
	return strings.Join(nouns[:last], ", ") + " and " + nouns[last]
}

// outcome returns the effect of a plan, as the documentation writes it.
func outcome(t *testing.T, plan changes.Project) string {
	t.Helper()
	replaced, deleted := lost(t, plan.Changes, changes.Replace), lost(t, plan.Changes, changes.Delete)
	switch {
	case replaced != "" && deleted != "":
		return "replaces " + replaced + ", and deletes " + deleted
	case replaced != "":
		return "replaces " + replaced
	case deleted != "":
		return "deletes " + deleted
	case !slices.ContainsFunc(plan.Changes, func(c changes.Change) bool { return !c.OfOptions() }):
		return nothing
	default:
		return inPlace
	}
}

// azuresCode matches the beginning of a refusal by the simulated Azure.
var azuresCode = regexp.MustCompile(`Code="\w+"`)

// refusal says what refused a preview.
func refusal(said string) string {
	if azuresCode.MatchString(said) {
		return byAzure
	}
	return byProgram
}

// living is a project of an environment that is up.
type living struct {
	*Engine
	part
	// values are the keys that differ from the stack's file. Secret values have the type secret.
	values map[string]any

	stack    auto.Stack
	selected bool
	plan     changes.Project
}

// secret is a value that the stack's file holds encrypted.
type secret string

// raise brings a project up with the values.
func raise(t *testing.T, e *Engine, p part, values map[string]any) *living {
	t.Helper()
	l := &living{Engine: e, part: p, values: values}
	require.NoError(t, l.run(t, values, upOperation(nil)))
	return l
}

// run does an operation with values and records its changes, done or planned.
func (l *living) run(t *testing.T, values map[string]any, do operation) error {
	t.Helper()
	plain, encrypted := map[string]any{}, auto.ConfigMap{}
	for key, value := range values {
		if text, ok := value.(secret); ok {
			encrypted[l.Name+":"+key] = auto.ConfigValue{Value: string(text), Secret: true}
			continue
		}
		plain[key] = value
	}
	do.stack = func(ctx context.Context, e *Engine, p part) (auto.Stack, bool, error) {
		var err error
		if !l.selected {
			l.stack, l.selected, err = configured(Overrides{p.Name: plain})(ctx, e, p)
		} else { // to select it again costs two runs of the CLI
			_, err = copyFiles(e.site, p.Project, plain)
		}
		if err == nil && len(encrypted) > 0 {
			err = l.stack.SetAllConfig(ctx, encrypted)
		}
		return l.stack, err == nil, err
	}
	var seen changes.Collector
	do.see = seen.See
	_, err := l.one(t.Context(), do, l.part)
	l.plan = seen.Project(l.Name, nil)
	return err
}

// attempt previews a change, and returns its case as the document writes it.
func (l *living) attempt(t *testing.T, a attempt) string {
	t.Helper()
	if err := l.run(t, a.over(l.values), previewOperation(nil)); err != nil {
		said := failed(t, err)
		assert.Contains(t, said, cmp.Or(a.says, "no way round is known for "+a.key), "what the refusal of another %s says", a.key)
		return a.named(refusal(said))
	}
	assert.Empty(t, a.says, "%s is not refused", a.key)
	for _, c := range l.plan.Changes {
		if c.Op == changes.Replace && c.Was == "" {
			assert.Contains(t, []changes.Level{changes.Dangerous, changes.Risky}, c.Level, "%s replaces %s %s", a.key, c.Type, c.Name)
		}
	}
	return a.named(outcome(t, l.plan))
}

// registered returns the resources that the project's program registers with values.
func (l *living) registered(t *testing.T, values map[string]any) []string {
	t.Helper()
	run := mocks.Run{
		Project: l.Project, Root: repository, Stack: l.site.Environment, Config: map[string]string{},
		Preview: l.Project == stacks.Infra, // Azure's answers are the same for all values
		Stacks: map[string]map[string]any{
			stacks.Infra.Name: mocks.InfraOutputs(), stacks.Bootstrap.Name: mocks.BootstrapOutputs(), stacks.Apps.Name: mocks.AppsOutputs(),
		},
		Functions: map[string]map[string]any{"azure-native:authorization:getClientConfig": {
			"objectId": somebody, "tenantId": somebody, "subscriptionId": somebody,
		}},
		Computed: map[string]map[string]any{"random:index/randomPassword:RandomPassword": {"result": "a password", "bcryptHash": "a hash"}},
	}
	for key, value := range values {
		switch v := value.(type) {
		case secret:
			run.Config[key], run.Secrets = string(v), append(run.Secrets, key)
		case string:
			run.Config[key] = v
		default:
			text, err := json.Marshal(v)
			require.NoError(t, err)
			run.Config[key] = string(text)
		}
	}
	if l.Project == stacks.Infra {
		run.Config["rolePropagation"] = "0s" // the mocks do not run the hooks that wait
	}
	recorded, err := run.Do(l.program)
	require.NoError(t, err)
	var all []string
	for _, r := range recorded.Resources {
		all = append(all, fmt.Sprint(r.Type, r.Name, providers.RevealAll(r.Inputs).Mappable()))
	}
	slices.Sort(all)
	return all
}

// try makes all attempts and records their results. Changes that the document calls in place are
// made for real, all in one update, which replaces a resource if any of them does. All others are
// previewed one by one, with -short only every sixteenth.
func (l *living) try(t *testing.T, attempts []attempt, documented map[string]documentedKey, note func(key, found string)) {
	t.Helper()
	before, together := l.registered(t, l.values), l.values
	var joint []attempt
	single := 0
	for _, a := range attempts {
		if !a.apart && slices.Contains(cases(documented[a.key].later), a.named(inPlace)) {
			joint, together = append(joint, a), a.over(together)
			assert.NotEqual(t, before, l.registered(t, a.over(l.values)), "another %s changes nothing", a.key)
			continue
		}
		if single++; testing.Short() && single%16 != 1 {
			continue
		}
		note(a.key, l.attempt(t, a))
	}
	if len(joint) == 0 {
		return
	}
	require.NoError(t, l.run(t, together, previewOperation(nil)))
	if outcome(t, l.plan) != inPlace { // find out which change it is
		for _, a := range joint {
			note(a.key, l.attempt(t, a))
		}
		return
	}
	require.NoError(t, l.run(t, together, upOperation(nil)), "what is in place at a preview is in place")
	assert.Equal(t, inPlace, outcome(t, l.plan))
	for _, a := range joint {
		note(a.key, a.named(inPlace))
	}
}

// The column "changed later" of docs/configuration.md must match the real engine's plans for a live
// environment: each key is changed in one, once for each case in the column.
func TestEngine_ChangesOfALiveEnvironmentAreAsDocumented(t *testing.T) {
	began, documented := time.Now(), documentedKeys(t)
	var mu sync.Mutex
	found := map[string]map[string][]string{} // project → key → cases
	try := func(t *testing.T, l *living, attempts []attempt) {
		t.Helper()
		l.try(t, attempts, documented[l.Name], func(key, what string) {
			mu.Lock()
			defer mu.Unlock()
			if found[l.Name] == nil {
				found[l.Name] = map[string][]string{}
			}
			found[l.Name][key] = append(found[l.Name][key], what)
		})
	}
	t.Run("live", func(t *testing.T) {
		for name, live := range map[string]func(t *testing.T){
			"dev":  func(t *testing.T) { try(t, liveInfra(t, "dev", devValues(), nil), devAttempts()) },
			"prod": func(t *testing.T) { try(t, liveInfra(t, "prod", prodValues(), prodLater()), prodAttempts()) },
			"cluster": func(t *testing.T) {
				bootstrap, apps, published := liveCluster(t)
				try(t, published, publishedAttempts())
				try(t, apps, appsAttempts())
				try(t, bootstrap, bootstrapAttempts(t, bootstrap))
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				live(t)
			})
		}
	})
	if t.Failed() {
		return // missing results say nothing about the document
	}
	tried, all := 0, 0
	for project, keys := range documented {
		for key, row := range keys {
			tried += len(found[project][key])
			all += len(cases(row.later))
			if testing.Short() {
				assert.Subset(t, cases(row.later), found[project][key], "%s:%s, what the document says and what happens", project, key)
				continue
			}
			assert.ElementsMatch(t, cases(row.later), found[project][key], "%s:%s, what the document says and what happens", project, key)
		}
	}
	t.Logf("%d of %d changes in %s", tried, all, time.Since(began).Round(time.Second))
}

// cases returns the cases in the column "changed later": the first sentence, split at semicolons.
func cases(later string) []string {
	first, _, _ := strings.Cut(later, ". ")
	return strings.Split(strings.TrimSuffix(first, "."), "; ")
}

// A new key must have a row in the document, and an attempt for each case of its change.
func TestUnit_EveryKeyIsTriedInEachCase(t *testing.T) {
	t.Parallel()
	attempts := map[string][]attempt{
		stacks.Infra.Name:     append(devAttempts(), prodAttempts()...),
		stacks.Bootstrap.Name: bootstrapAttempts(t, nil),
		stacks.Apps.Name:      appsAttempts(),
		stacks.Published.Name: publishedAttempts(),
	}
	for project, keys := range documentedKeys(t) {
		tried := map[string][]string{}
		for _, a := range attempts[project] {
			tried[a.key] = append(tried[a.key], a.when)
		}
		for key, documented := range keys {
			var told []string
			for _, text := range cases(documented.later) {
				when, end, several := strings.Cut(text, ": ")
				if !several {
					when, end = "", text
				}
				told = append(told, when)
				assert.Regexp(t, "^("+strings.Join([]string{inPlace, nothing, byAzure, byProgram, "(replaces|deletes) .+"}, "|")+")$", end,
					"%s:%s", project, key)
			}
			if cases(documented.later)[0] == byAzure {
				assert.Contains(t, documented.later, ". ", "%s:%s is decided once, or there is a way round: say which", project, key)
			}
			assert.ElementsMatch(t, told, tried[key], "%s:%s: the cases that docs/configuration.md tells, and those that are tried", project, key)
			delete(tried, key)
		}
		assert.Empty(t, tried, "%s has no such keys", project)
	}
}
