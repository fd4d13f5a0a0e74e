package share

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// inTime is a loop in real time.
type inTime struct{ mu sync.Mutex }

// Do implements Loop.
func (l *inTime) Do(_ context.Context, f func(now prewarm.Time)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(time.Since(virtualEpoch))
	return nil
}

// TestPermissions checks that an instance needs no more of Kafka than docs/scale.md says.
func TestPermissions(t *testing.T) {
	const method, user, password = "SCRAM-SHA-512", "prewarm", "secret"
	allow := func(resource kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) (list []kfake.ACL) {
		for _, o := range operations {
			list = append(list, kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: o, Allow: true})
		}
		return list
	}
	const topic, group, read, write = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLOperationRead, kmsg.ACLOperationWrite
	var acls []kfake.ACL
	for _, list := range [][]kfake.ACL{
		allow(topic, spansTopic, read), allow(topic, demandsTopic, read, write), allow(topic, suppliesTopic, read, write),
		allow(group, "prewarm", read), allow(group, "prewarm-deciders", read),
	} {
		acls = append(acls, list...)
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
		kfake.SeedTopics(partitions, spansTopic, demandsTopic, suppliesTopic), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser(method, "admin", "admin"),
		kfake.User(method, user, password, acls...))
	require.NoError(t, err)
	defer c.Close()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password), 0o600))
	i, err := NewInstance(InstanceOptions{
		Options: Options{Epoch: virtualEpoch, Price: 2560, Platform: whisk, Limits: Limits{Containers: 9}},
		Kafka:   kafka.Options{Brokers: c.ListenAddrs(), Topic: spansTopic, Group: "prewarm", User: user, PasswordFile: file},
		Demands: demandsTopic, Supplies: suppliesTopic, Deciders: "prewarm-deciders", Rebuild: time.Hour, Name: "x",
	}, controller.Options{Act: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, i.Close(context.Background())) }()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	loop := &inTime{}
	for name, s := range i.Sources(loop) {
		parts.Go(func() {
			if err := s.Run(ctx, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	require.Eventually(t, func() (all bool) {
		_ = loop.Do(ctx, func(now prewarm.Time) {
			i.deciders.Pass(now)
			state := i.deciders.State()
			all = len(i.deciders.stated) == partitions && len(state.Shares) == 2
			for _, s := range state.Shares {
				all = all && len(s.Partitions) == partitions && len(s.Rebuilding) == 0
			}
		})
		return all
	}, time.Minute, 5*time.Millisecond, "it has all partitions, has claimed them, and reads what stands of them")
}
