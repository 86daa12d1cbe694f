# Holds memory, under a name that the policy knows, until it is ended.
$0 = "keeper";
my $size = 50 << 20;
my $held = "x" x $size;
sleep 60 while 1;
