package config_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
)

// person is an object as a key may have them.
type person struct {
	Name string   `json:"name"`
	Role string   `json:"role,omitempty"`
	On   []string `json:"on,omitempty"`
}

// values is what a program reads in FuzzReader, a key of each kind.
type values struct {
	Text, Choice string
	Count        int
	Protect      bool
	Zones        []string
	Wait         time.Duration
	Admins       []person
}

func readValues(given map[string]string) (values, error) {
	r := config.FromMap("p", "dev", given)
	v := values{
		Text:    r.Text("text", ""),
		Choice:  r.OneOf("choice", "Free", "Free", "Standard"),
		Count:   r.IntBetween("count", 2, 1, 100),
		Protect: r.Bool("protect", false),
		Zones:   r.Strings("zones", nil),
		Wait:    r.DurationBetween("wait", time.Minute, 0, time.Hour),
		Admins:  config.Decode[[]person](r, "admins", nil),
	}
	return v, r.Err()
}

// print writes values as a stack's file has them.
func (v values) print(t *testing.T) map[string]string {
	t.Helper()
	list, err := json.Marshal(v.Zones)
	require.NoError(t, err)
	object, err := json.Marshal(v.Admins)
	require.NoError(t, err)
	return map[string]string{
		"p:text": v.Text, "p:choice": v.Choice, "p:count": strconv.Itoa(v.Count), "p:protect": strconv.FormatBool(v.Protect),
		"p:zones": string(list), "p:wait": v.Wait.String(), "p:admins": string(object),
	}
}

// FuzzReader: the reader accepts only values that the key allows, and an accepted value means the
// same when it is written again; for a refused value the message names the key.
func FuzzReader(f *testing.F) {
	f.Add("westeurope", "Standard", "3", "true", `["1","2","3"]`, "30s", `[{"name": "a", "role": "b", "on": ["c"]}]`, "locaton", "x")
	f.Add("", "Gold", "three", "yes", "1,2", "soon", `[{"name": "a", "rule": "b"}]`, "", "")
	f.Add("\x00", "free", "+7", "True", "null", "1h0m0.000000001s", "null", "a\nb", "\u2028")
	f.Add("x", "Free", "99999999999999999999", "false", `["1"]["2"]`, "-1s", `[{"name": "a"}] [{"nme": "b"}]`, "text", "y")
	f.Fuzz(func(t *testing.T, text, choice, count, protect, zones, wait, admins, other, value string) {
		given := map[string]string{
			"p:text": text, "p:choice": choice, "p:count": count, "p:protect": protect, "p:zones": zones, "p:wait": wait, "p:admins": admins,
		}
		known := []string{"text", "choice", "count", "protect", "zones", "wait", "admins"}
		stranger := other != "" && !slices.Contains(known, other) && other != "__supplied" // the reader's own
		if stranger {
			given["p:"+other] = value
		}
		read, err := readValues(given)
		if err != nil {
			var all *config.Error
			require.ErrorAs(t, err, &all)
			require.NotEmpty(t, all.Mistakes)
			for _, mistake := range all.Mistakes {
				assert.True(t, slices.ContainsFunc(append(known, other), func(key string) bool {
					return strings.HasPrefix(mistake.Error(), "p:"+key+": ")
				}), "names no key: %s", mistake)
			}
			_, again := readValues(given)
			require.EqualError(t, again, err.Error(), "the same file has the same mistakes")
			return
		}
		assert.False(t, stranger, "a key that nobody reads is refused")
		assert.NotEmpty(t, read.Text)
		assert.Contains(t, []string{"Free", "Standard"}, read.Choice)
		assert.True(t, 1 <= read.Count && read.Count <= 100, read.Count)
		assert.Equal(t, protect, strconv.FormatBool(read.Protect))
		assert.True(t, 0 <= read.Wait && read.Wait <= time.Hour, read.Wait)
		for _, value := range []string{zones, admins} {
			assert.True(t, json.Valid([]byte(value)), "half a value is accepted: %s", value)
		}
		again, err := readValues(read.print(t))
		require.NoError(t, err)
		assert.Equal(t, read, again)
	})
}

// FuzzReaderMistakes: Check takes whatever a program finds wrong, joined or not, and says each
// thing once.
func FuzzReaderMistakes(f *testing.F) {
	f.Add("key", "is wrong", "is wrong", "and that too")
	f.Add("", "", "\n", "x")
	f.Fuzz(func(t *testing.T, key, first, second, third string) {
		r := config.FromMap("p", "dev", nil)
		r.Check(key, errors.Join(errors.New(first), errors.Join(errors.New(second), errors.New(third))))
		r.Check(key, nil)
		var all *config.Error
		require.ErrorAs(t, r.Err(), &all)
		assert.Len(t, all.Mistakes, len(slices.Compact(slices.Sorted(slices.Values([]string{first, second, third})))))
		for _, mistake := range all.Mistakes {
			assert.True(t, strings.HasPrefix(mistake.Error(), "p:"+key+": "), mistake)
		}
	})
}
