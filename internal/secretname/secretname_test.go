package secretname_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/internal/secretname"
)

func TestUnit_NamesOfSecrets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"password", "DB_PASSWD", "adminPassword", "clientSecret", "api_key", "connectionString", `x["token"]`} {
		assert.True(t, secretname.Is(name), name)
	}
	for _, name := range []string{"secretName", "tokenFile", "passwordPolicy", "key", "level"} {
		assert.False(t, secretname.Is(name), name)
	}
}

func TestUnit_SecretsInsideOfATextAreWithheld(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"level: info\npassword: abc\nport: 1":                               "level: info\npassword: [withheld]\nport: 1",
		`{"clientSecret":"abc","port":1}`:                                   `{"clientSecret":"[withheld]","port":1}`,
		"--token=abc --port=1":                                              "--token=[withheld] --port=1",
		"postgres://user:abc@host/db":                                       "postgres://[withheld]@host/db",
		"-----BEGIN RSA PRIVATE KEY-----\nabc\nno end":                      "[withheld]",
		"a\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nb": "a\n[withheld]\nb",
		"secretName: login-x":                                               "secretName: login-x",
		"https://host:8080/path":                                            "https://host:8080/path",
	} {
		assert.Equal(t, want, secretname.Scrub(text))
	}
}
