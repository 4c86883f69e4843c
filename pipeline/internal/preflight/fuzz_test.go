package preflight_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/azcli"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight/azuretest"
)

// texts is an Azure whose answers are texts by their paths.
type texts map[string][]byte

// textsOf are the answers of a subscription as they are now.
func textsOf(azure *azuretest.Azure) texts {
	answers := texts{}
	for _, name := range azure.Names() {
		if path := azure.Path(name); path != "" {
			answers[path] = azure.Text(name)
		}
	}
	return answers
}

func (a texts) Account(context.Context) (azcli.Account, error) {
	return azcli.Account{SubscriptionID: azuretest.Subscription, UserName: "operator@example.com", UserType: "user"}, nil
}

func (a texts) ObjectID(context.Context, azcli.Account) (string, error) {
	return azuretest.Deployer, nil
}

func (a texts) Get(_ context.Context, path string) ([]byte, error) {
	if text, ok := a[path]; ok {
		return text, nil
	}
	return nil, errors.New("there is no such page")
}

// concerns are what the checks that rest on an answer are called.
var concerns = map[string][]string{
	"subscription": {"subscription"}, "providers": {"resource provider"}, "skus": {"VM size", "quota"}, "usages": {"quota"},
	"kubernetes": {"Kubernetes"}, "mesh": {"mesh"}, "postgres": {"PostgreSQL"}, "vaults": {"key vault"},
	"defender": {"Defender"}, "roles": {"role"},
}

// said returns the text, in lower case, that an answer must contain for a check to be good.
func said(answer string, check preflight.Check) string {
	switch answer {
	case "subscription":
		return "enabled"
	case "providers":
		return "registered"
	case "skus":
		return "virtualmachines"
	case "usages":
		return "limit"
	case "kubernetes":
		return "kubernetesofficial"
	case "mesh":
		return "istio"
	case "postgres":
		return map[bool]string{true: "disabled", false: ""}[strings.HasPrefix(check.Of, "the offer")]
	case "vaults":
		return "value"
	case "defender":
		return "standard"
	default:
		return "roledefinitions"
	}
}

// FuzzAnswers: for every answer of Azure to one of the questions, each check ends in a known state
// and has a remedy unless it is good; none of its text controls a terminal; and it is good only if
// the answer is JSON and says so.
func FuzzAnswers(f *testing.F) {
	azure := azuretest.New(f)
	var names []string
	paths, everything := map[string]string{}, textsOf(azure)
	for _, name := range azure.Names() {
		if path := azure.Path(name); path != "" {
			paths[name] = path
			f.Add(uint8(len(names)), azure.Text(name))
			f.Add(uint8(len(names)), azure.Text(name)[1:])
			for _, text := range []string{
				"", "{}", "null", `{"value":null}`, `{"value":[]}`, `{"value":[null]}`, `{"value":[{}],"nextLink":7}`,
				`{"value":[{}],"nextLink":"//x"}`,
				`{"error":{"code":"x"}}`, "{\"state\":\"\x1b[2J\"}", `{"value":[{"name":"\u001b[2J","restricted":"\u001b"}]}`,
				`{"properties":{"pricingTier":"##[x]"}}`,
				`{"value":[{"name":{"value":"cores"},"limit":-1,"currentValue":0,"unit":"Count"}]}`,
				`{"values":[{"version":"1.35"}]}`,
			} {
				f.Add(uint8(len(names)), []byte(text))
			}
			names = append(names, name)
		}
	}
	n := needs(f, nil)
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		name, answers := names[int(which)%len(names)], maps.Clone(everything)
		answers[paths[name]] = text
		report, err := preflight.Preflight{Azure: answers, Needs: n}.Run(t.Context())
		require.NoError(t, err)
		var meant map[string]any
		broken := json.Unmarshal(text, &meant) != nil || meant == nil
		plain, err := json.Marshal(meant)
		require.NoError(t, err)
		seen := 0
		for _, check := range report.Checks {
			assert.Contains(t, []preflight.State{preflight.Good, preflight.Problem, preflight.NotKnown}, check.State)
			assert.NotEmpty(t, check.Found)
			assert.Equal(t, check.State == preflight.Good, check.Remedy == "")
			for _, shown := range []string{check.Of, check.Found} {
				assert.False(t, strings.ContainsFunc(shown, unicode.IsControl) || strings.Contains(shown, "##["), "%q", shown)
			}
			for _, concern := range concerns[name] {
				if check.Concern != concern {
					continue
				}
				seen++
				if check.State == preflight.Good {
					assert.False(t, broken, "%s is good, and the answer is no JSON object", check.Of)
					assert.Contains(t, strings.ToLower(string(plain)), said(name, check), check.Of)
				} else if broken {
					assert.Equal(t, preflight.NotKnown, check.State)
				}
			}
		}
		assert.NotZero(t, seen, "no check rests on %s", name)
	})
}
