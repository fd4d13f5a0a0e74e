package acquire

// canLook reports why processes cannot be looked at.
func canLook() error { return nil }
