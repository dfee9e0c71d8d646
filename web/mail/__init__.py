"""The mails that the development mail server caught, shown to those who set Belay up."""
