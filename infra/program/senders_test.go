package program_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The service reads the secret as it is (access.Tokens in src).
func TestUnit_EachSenderHasTwoTokens(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"ingestSenders": `["north", "south"]`})
	require.NoError(t, err)
	var value string
	for _, secret := range recorded.OfType("azure-native:keyvault/v20241101:Secret") {
		if secret.Inputs["secretName"].StringValue() == "gridos-ingest-token" {
			properties := secret.Inputs["properties"]
			for properties.IsSecret() {
				properties = properties.SecretValue().Element
			}
			token := properties.ObjectValue()["value"]
			for token.IsSecret() {
				token = token.SecretValue().Element
			}
			value = token.StringValue()
		}
	}
	lines := regexp.MustCompile(`(?m)^([a-z]+) (\S+)$`).FindAllStringSubmatch(value, -1)
	require.Len(t, lines, 4, value)
	tokens := map[string]bool{}
	var senders []string
	for _, line := range lines {
		senders, tokens[line[2]] = append(senders, line[1]), true
	}
	assert.Equal(t, []string{"north", "north", "south", "south"}, senders)
	assert.Len(t, tokens, 4, "no two are the same")
}

func TestUnit_ASenderHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	for senders, why := range map[string]string{
		`[]`:                 "names 0 senders",
		`["North"]`:          `"North" is not a name of a sender`,
		`["north", "north"]`: `"north" is listed twice`,
		`["any"]`:            "choose another",
	} {
		_, err := run("dev", map[string]string{"ingestSenders": senders})
		require.ErrorContains(t, err, "gridos-infra:ingestSenders: ")
		require.ErrorContains(t, err, why)
	}
}
