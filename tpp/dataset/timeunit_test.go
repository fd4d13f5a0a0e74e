package dataset

import (
	"strings"
	"testing"
	"time"
)

func TestTimeStamps(t *testing.T) {
	want := float64(time.Date(2021, 5, 12, 15, 5, 14, 0, time.UTC).UnixMilli())
	for _, text := range []string{
		"2021-05-12T15:05:14Z", "2021-05-12T17:05:14+02:00", "2021-05-12T15:05:14+0000", "2021-05-12 17:05:14+0200", "2021-05-12 17:05:14 +0200",
		"2021-05-12 17:05:14 +02:00", "2021-05-12T15:05:14+00", "2021-05-12 15:05:14 UTC", "2021-05-12 15:05:14.000", "2021-05-12T15:05:14",
	} {
		if d, err := Read(strings.NewReader("time\n" + text + "\n")); err != nil || d.Sequences[0].ArrivalTimes[0] != want {
			t.Errorf("%s is read as %+v, error %v", text, d, err)
		}
	}
}

func TestTimesThatAreNoneNameTheRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"12/05/2021":               "write the date as 2021-05-12",
		"12.05.2021 15:05":         "write the date as 2021-05-12",
		"1,5":                      "it has a decimal comma, write a point, 1.5",
		"2021-05-12 15:05:14 CEST": "write the zone as +02:00",
		"noon":                     "neither a number nor a time stamp",
	} {
		if d, err := Read(strings.NewReader("sequence;time\na;" + text + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is read as %+v, error %v", text, d, err)
		}
	}
	if d, err := Read(strings.NewReader("sequence;time;wait_time\na;1;1,5\n")); err == nil || !strings.Contains(err.Error(), "write a point, 1.5") {
		t.Errorf("a decimal comma in a wait time is read as %+v, error %v", d, err)
	}
}
