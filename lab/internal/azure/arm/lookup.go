package arm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Lookup returns the id of the resource that a Pulumi type, such as
// azure-native:network:VirtualNetwork, and its inputs refer to, and whether it is soft-deleted
// instead of live. There is none if an input that is part of the id is missing or not known.
func (c *Cloud) Lookup(typ string, inputs map[string]any) (id string, softDeleted, exists bool) {
	d, ok := c.registry.byToken[typ]
	if !ok {
		return "", false, false
	}
	wanted, complete := d.Path.Expand(c.options.SubscriptionID, inputs)
	if !complete {
		return "", false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if live, ok := c.live[Key(wanted)]; ok && live.Kind == d.Kind {
		return live.ID, false, true
	}
	gone, ok := c.deleted[Key(wanted)]
	if !ok || gone.Kind != d.Kind {
		return "", false, false
	}
	return gone.ID, true, true
}

// Holds reports whether a resource has that value at the path of an input that Azure takes and
// never gives back, such as a password. The simulated Azure does not keep such values either, only
// seals to compare with.
func (c *Cloud) Holds(id, path, value string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live, ok := c.live[Key(id)]
	if !ok {
		return false, fmt.Errorf("%s does not exist", id)
	}
	sealed, ok := live.Sealed[path]
	if !ok {
		return false, fmt.Errorf("%s takes no %s that it does not give back", id, path)
	}
	return hmac.Equal([]byte(sealed), []byte(seal(live.Creation, path, value))), nil
}

// Creation returns the id of this creation of a resource, which differs from that of a later
// resource with the same id, or "" if there is none.
func (c *Cloud) Creation(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if live, ok := c.live[Key(id)]; ok {
		return live.Creation
	}
	return ""
}

// seal returns a keyed hash of the value: enough to compare with, not enough to recover a long
// random value. Programs keep only such values in Azure.
func seal(creation, path, value string) string {
	mac := hmac.New(sha256.New, []byte(creation+"#"+path))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil))
}

// sealedOf returns the seals of the write-only values.
func sealedOf(s Subject) map[string]string {
	sealed := map[string]string{}
	for _, path := range s.WriteOnly {
		if value := s.In.Text(path); value != "" {
			sealed[path] = seal(s.Creation, path, value)
		}
	}
	return sealed
}
