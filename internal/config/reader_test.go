package config_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
)

func TestUnit_ReaderReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	r := config.FromMap("gridos-infra", "dev", map[string]string{
		"gridos-infra:location":      "westeurope",
		"gridos-infra:min":           "three",
		"gridos-infra:max":           "99",
		"gridos-infra:protect":       "yes",
		"gridos-infra:tier":          "Gold",
		"gridos-infra:zones":         "1,2",
		"gridos-infra:locaton":       "westeurope",
		"gridos-infra:wait":          "soon",
		"gridos-infra:patience":      "2h",
		"gridos-infra:somethingElse": "x",
		"gridos-infra:admins":        `[{"name": "a", "role": "b"}]`,
		"pulumi:other-namespace":     "is none of ours",
	})
	assert.Equal(t, "westeurope", r.String("location", ""))
	assert.Zero(t, r.Int("min", 2))
	assert.Equal(t, 99, r.IntBetween("max", 5, 1, 10))
	assert.False(t, r.Bool("protect", true))
	r.OneOf("tier", "Free", "Free", "Standard")
	r.Strings("zones", nil)
	r.Text("missing", "")
	r.DurationBetween("wait", time.Second, 0, time.Minute)
	r.DurationBetween("patience", time.Second, 0, time.Minute)
	config.Decode(r, "admins", []struct{ Name string }{})
	r.Check("location", errors.Join(errors.New("first reason"), errors.New("second reason")))

	err := r.Err()
	var all *config.Error
	require.ErrorAs(t, err, &all)
	assert.Len(t, all.Mistakes, 13)
	for _, want := range []string{
		"gridos-infra: 13 mistakes in the configuration (Pulumi.dev.yaml)",
		`gridos-infra:min: "three" is not a whole number`,
		"gridos-infra:max: 99 is out of range; use 1 to 10",
		`gridos-infra:protect: "yes" is neither true nor false`,
		`gridos-infra:tier: "Gold" is not known here; use one of Free, Standard`,
		"gridos-infra:zones: 1,2 is not a list of strings",
		"gridos-infra:missing: is empty; set it with `pulumi config set missing VALUE`",
		"gridos-infra:location: first reason",
		"gridos-infra:location: second reason",
		"gridos-infra:admins: [{\"name\": \"a\", \"role\": \"b\"}] does not have the form that is expected here: json: unknown field",
		`gridos-infra:wait: "soon" is not a duration`,
		"gridos-infra:patience: 2h0m0s is out of range; use 0s to 1m0s",
		"gridos-infra:locaton: no such key; did you mean gridos-infra:location?",
		"gridos-infra:somethingElse: no such key; remove it",
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestUnit_ReaderAcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	r := config.FromMap("gridos-infra", "dev", map[string]string{
		"gridos-infra:count": "3", "gridos-infra:on": "true", "gridos-infra:zones": `["1","2"]`,
	})
	assert.Equal(t, 3, r.IntBetween("count", 2, 1, 3))
	assert.True(t, r.Bool("on", false))
	assert.Equal(t, []string{"1", "2"}, r.Strings("zones", nil))
	require.NoError(t, r.Err())
	assert.Equal(t, "eu", r.Text("region", "eu"))
	assert.Equal(t, 30*time.Second, r.DurationBetween("wait", 30*time.Second, 0, time.Minute))
	assert.Equal(t, []string{"3"}, r.Strings("others", []string{"3"}))
	assert.Equal(t, map[string]any{
		"count": 2, "on": false, "zones": []string(nil), "region": "eu", "others": []string{"3"}, "wait": "30s",
	}, r.Defaults())
}

// nothing mocks an engine for programs that register nothing.
type nothing struct{}

func (nothing) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return "", nil, errors.New("a resource was registered")
}

func (nothing) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, errors.New("a function was called")
}

// A program started by the CLI sees single keys only; Strict is what makes a mistyped one visible
// to it.
func TestUnit_StrictMakesMistypedKeysVisibleToAProgram(t *testing.T) {
	t.Parallel()
	var err error
	program := func(ctx *pulumi.Context) error {
		r := config.FromContext(ctx)
		r.String("location", "")
		err = r.Err()
		return nil
	}
	values := func(info *pulumi.RunInfo) {
		info.Config = map[string]string{"p:location": "westeurope", "p:loaction": "x", "azure-native:location": "x"}
	}
	mocked := pulumi.WithMocks("p", "dev", nothing{})

	require.NoError(t, pulumi.RunErr(program, mocked, values, config.Strict))
	require.ErrorContains(t, err, "p:loaction: no such key; did you mean p:location?")
	assert.NotContains(t, err.Error(), "azure-native")

	require.NoError(t, pulumi.RunErr(program, mocked, values))
	require.NoError(t, err, "without Strict the program cannot know")
}
