// Package actuatortest checks that an actuator keeps to what package actuator says.
//
//	actuatortest.Run(t, actuatortest.Subject{
//		Function:    "f1",
//		New:         func(t *testing.T) actuator.Actuator { return connectedTo(t, platform) },
//		Unreachable: func(t *testing.T) actuator.Actuator { return connectedTo(t, nobody) },
//		Hanging:     func(t *testing.T) actuator.Actuator { return connectedTo(t, silent) },
//	})
package actuatortest
