package azure

import "strings"

// SecretVersion returns what stands for the value of the secret of a name in the vault that the deployment made: the URI of its version,
// which changes when the value does. The value itself is written only, and not kept.
func (c *Cloud) SecretVersion(name string) (uri string, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.live {
		if strings.EqualFold(r.Kind, typeSecret) && !r.Seeded && strings.EqualFold(r.Inputs.text("secretName"), name) {
			return r.Outputs.text("properties.secretUriWithVersion"), true
		}
	}
	return "", false
}
