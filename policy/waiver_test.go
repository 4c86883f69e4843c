package policy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/policy"
)

const goodReason = "the ticket OPS-1 says until when"

func load(t *testing.T, environment string, list any) (policy.Settings, error) {
	t.Helper()
	text, err := json.Marshal(list)
	require.NoError(t, err)
	r := config.FromMap("gridos-infra", environment, map[string]string{"gridos-infra:policyWaivers": string(text)})
	s := policy.Load(r, environment)
	return s, r.Err()
}

func TestUnit_WaiversAreReadAndNoneIsTheDefault(t *testing.T) {
	t.Parallel()
	want := []policy.Waiver{{Rule: "https-only", Resource: "gateway", Reason: goodReason}}
	s, err := load(t, "dev", want)
	require.NoError(t, err)
	assert.Equal(t, want, s.Waivers)

	r := config.FromMap("gridos-infra", "dev", nil)
	assert.Empty(t, policy.Load(r, "dev").Waivers)
	require.NoError(t, r.Err())
	assert.Equal(t, []policy.Waiver{}, r.Defaults()["policyWaivers"])
}

func TestUnit_AWaiverThatIsNotExplicitAndReasonedIsAMistake(t *testing.T) {
	t.Parallel()
	good := policy.Waiver{Rule: "tags", Resource: "x", Reason: goodReason}
	for want, list := range map[string]any{
		`"tag" is not a rule; use one of allowed-regions, `:               []policy.Waiver{{Rule: "tag", Resource: "x", Reason: goodReason}},
		"the waiver of tags names no resource":                            []policy.Waiver{{Rule: "tags", Reason: goodReason}},
		`the waiver of tags for "x" gives no reason; write one of 10`:     []policy.Waiver{{Rule: "tags", Resource: "x", Reason: "  because  "}},
		`waives tags of "x" twice`:                                        []policy.Waiver{good, {Rule: "tags", Resource: "x", Reason: goodReason + "!"}},
		"https-only cannot be waived in prod, only in dev":                []policy.Waiver{{Rule: "https-only", Resource: "x", Reason: goodReason}},
		`does not have the form that is expected here`:                    []map[string]string{{"rule": "tags", "resourceName": "x", "reason": goodReason}},
		`gridos-infra:policyWaivers: "everything" does not have the form`: "everything",
	} {
		_, err := load(t, "prod", list)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "gridos-infra:policyWaivers: ")
	}
}

func TestUnit_EveryRuleCanBeNamedInAWaiver(t *testing.T) {
	t.Parallel()
	for _, id := range policy.Rules() {
		_, err := load(t, "dev", []policy.Waiver{{Rule: id, Resource: "x", Reason: goodReason}})
		if err != nil {
			require.NotContains(t, err.Error(), "is not a rule", id)
		}
	}
}

func TestUnit_AReasonOfTenCharactersIsOne(t *testing.T) {
	t.Parallel()
	_, err := load(t, "dev", []policy.Waiver{{Rule: "tags", Resource: "x", Reason: "ticket 123"}})
	require.NoError(t, err)
	_, err = load(t, "dev", []policy.Waiver{{Rule: "tags", Resource: "x", Reason: "ticket 12"}})
	require.ErrorContains(t, err, "gives no reason")
}

var heading = regexp.MustCompile("(?m)^## `([a-z-]+)`$")

func TestUnit_EveryRuleIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/policies.md")
	require.NoError(t, err)
	sections := heading.Split(string(text), -1)[1:]
	var documented []string
	for i, match := range heading.FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, match[1])
		for _, part := range []string{"**Why.** ", "**Checked.** ", "**Waiving.** "} {
			assert.Contains(t, sections[i], part, "docs/policies.md, %s", match[1])
		}
	}
	assert.Equal(t, policy.Rules(), documented, "docs/policies.md has a section per rule, sorted, and no other")
	assert.True(t, slices.IsSorted(documented))
}
