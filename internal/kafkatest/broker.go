package kafkatest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/integration"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testprocess"
)

// Broker is a broker, controller of its cluster too, on the loopback interface.
type Broker struct {
	// Address is where it is reached, in plain.
	Address string

	java, classes, config string
	process               *testprocess.Process
}

// properties is the configuration of a broker: addresses of the broker and of the controller, and the folder of data.
const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%[3]s
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
`

// Start runs a broker until the test ends. If there is no Java or no jar, the test ends as integration.Missing says.
func Start(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{java: integration.Program(t, "java", "install Java 17 or later (Debian: apt-get install default-jre-headless)")}
	folder, err := Folder()
	if err != nil {
		t.Fatal(err)
	}
	integration.File(t, filepath.Join(folder, "kafka_2.13-"+Version+".jar"), "Kafka", "make fetch-kafka")
	b.classes = filepath.Join(folder, "*")
	addresses, err := loopback.FreeAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	b.Address = addresses[0]
	b.config = filepath.Join(t.TempDir(), "server.properties")
	text := fmt.Sprintf(properties, addresses[0], addresses[1], filepath.Join(t.TempDir(), "data"))
	if err := os.WriteFile(b.config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	format := exec.Command(b.java, "-Xmx128m", "-cp", b.classes, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", b.config)
	if output, err := format.CombinedOutput(); err != nil {
		t.Fatalf("formatting the broker's folder: %v: %s", err, output)
	}
	b.Again(t)
	t.Cleanup(func() { b.Kill() })
	return b
}

// Kill kills the broker, as a SIGKILL does.
func (b *Broker) Kill() { b.process.Kill() }

// Again starts a broker that was killed, at the same address and with its data.
func (b *Broker) Again(t testing.TB) {
	t.Helper()
	p, err := testprocess.Start(exec.Command(b.java, "-Xmx384m", "-cp", b.classes, "kafka.Kafka", b.config))
	if err != nil {
		t.Fatal(err)
	}
	b.process = p
	for deadline := time.Now().Add(2 * time.Minute); ; {
		select {
		case <-p.Ended:
			t.Fatalf("the broker ended: %s", p.Output())
		case <-time.After(50 * time.Millisecond):
		}
		if connection, err := net.DialTimeout("tcp", b.Address, time.Second); err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker does not get ready: %s", p.Output())
		}
	}
}
